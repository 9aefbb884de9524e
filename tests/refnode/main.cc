// refnode: a small Kvrocks-compatible node for tests and the demo.
#include <csignal>
#include <iostream>

#include "server.h"

namespace {

walstitch::refnode::Server* g_server = nullptr;

void OnSignal(int) {
  if (g_server != nullptr) g_server->RequestStop();
}

}  // namespace

int main(int argc, char** argv) {
  using walstitch::refnode::Config;
  using walstitch::refnode::Server;

  Config config;
  if (const auto error = config.Load(argc, argv)) {
    std::cerr << "Failed to load config. Error: " << *error << "\n"
              << "usage: refnode [-c FILE] [--key value ...]\n";
    return 1;
  }
  Server server(config);
  g_server = &server;
  std::signal(SIGTERM, OnSignal);
  std::signal(SIGINT, OnSignal);
  std::signal(SIGPIPE, SIG_IGN);
  if (const auto error = server.Start()) {
    std::cerr << "Failed to start server: " << *error << "\n";
    return 1;
  }
  server.Run();
  g_server = nullptr;
  return 0;
}
