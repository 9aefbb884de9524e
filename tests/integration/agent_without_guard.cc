// An agent as it must not be: its undo has no guard (agents/wal/undo.h). It shows what the guard is for.
#include <signal.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <cstdio>
#include <cstring>

#include "agents/agent/agent.h"
#include "agents/agent/config.h"
#include "agents/wal/undo.h"

int main(int argc, char** argv) {
  if (argc != 3 || std::strcmp(argv[1], "--config") != 0) {
    std::fprintf(stderr, "Usage: %s --config FILE\n", argv[0]);
    return 2;
  }
  auto config = walstitch::agent::LoadConfig(argv[2]);
  if (!config) {
    std::fprintf(stderr, "%s: %s\n", argv[0], config.error().Message().c_str());
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  boost::asio::io_context context(1);
  walstitch::agent::Agent agent(context.get_executor(), *config,
                                walstitch::wal::internal::PlanUndoWithoutGuard);
  boost::asio::signal_set signals(context, SIGTERM, SIGINT);
  if (auto started = agent.Start(); !started) {
    std::fprintf(stderr, "%s: %s\n", argv[0], started.error().Message().c_str());
    return 1;
  }
  signals.async_wait([&](boost::system::error_code error, int) {
    if (error) return;
    agent.Stop();
    context.stop();
  });
  context.run();
  return 0;
}
