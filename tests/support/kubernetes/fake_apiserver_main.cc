// fake_apiserver: the fake API server as a process, for tests that start the programs. Prints one line
// "port=N control=N" when it serves; writes into --directory what the kubelet mounts for a service account
// (token, ca.crt, namespace), and admin-token.
#include <pthread.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "tests/support/kubernetes/certificates.h"
#include "tests/support/kubernetes/fake_apiserver.h"
#include "tests/support/kubernetes/fake_control.h"
#include "tests/support/kubernetes/fake_schema.h"

namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

int main(int argc, char** argv) {
  using namespace walstitch::test;
  CLI::App app("A strict stand-in for Kubernetes' API server, for tests.");
  FakeApiOptions options;
  std::uint16_t control_port = 0;
  std::string directory;
  std::string token = "walstitch-token";
  std::string user;
  std::vector<std::string> roles;
  std::vector<std::string> crds;
  bool walstitch_resources = false;
  int bookmarks_ms = 500;
  app.add_option("--port", options.port, "of the API; 0: a free one");
  app.add_option("--control-port", control_port, "of the control, see fake_control.h; 0: a free one");
  app.add_option("--directory", directory, "where the service account's files are written")->required();
  app.add_option("--namespace", options.namespace_name, "the only namespace that users may see");
  app.add_option("--token", token, "of the service account");
  app.add_option("--user", user,
                 "of the service account; default: system:serviceaccount:NAMESPACE:walstitch");
  app.add_option("--role", roles, "YAML whose Roles say what the user may do");
  app.add_option("--crd", crds, "YAML with CustomResourceDefinitions");
  app.add_flag("--walstitch-resources", walstitch_resources, "serve those of walstitch.io, with any fields");
  app.add_option("--history", options.history, "changes that a watch can go back");
  app.add_option("--bookmarks-ms", bookmarks_ms, "between two bookmarks");
  CLI11_PARSE(app, argc, argv);

  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  try {
    options.bookmarks = std::chrono::milliseconds(bookmarks_ms);
    if (user.empty()) user = "system:serviceaccount:" + options.namespace_name + ":walstitch";
    FakeApiServer server(options);
    server.AddToken(token, user);
    std::vector<AccessRule> rules;
    for (const auto& path : roles) {
      for (auto& rule : RulesFromYaml(ReadFile(path))) rules.push_back(std::move(rule));
    }
    server.Allow(user, std::move(rules));
    for (const auto& path : crds) {
      for (const auto& document : JsonOfYaml(ReadFile(path))) {
        if (document.is_object() && document.get_object().at("kind") == "CustomResourceDefinition")
          server.AddCrd(document.get_object());
      }
    }
    if (walstitch_resources) server.AddWalstitchResources();
    server.Start();
    server.WriteServiceAccount(directory, token);
    WritePrivateFile(directory + "/admin-token", FakeApiServer::kAdminToken);
    const FakeControl control(server, control_port);
    std::printf("port=%u control=%u\n", unsigned{server.Port()}, unsigned{control.Port()});
    std::fflush(stdout);
    int got = 0;
    sigwait(&signals, &got);
  } catch (const std::exception& exception) {
    std::fprintf(stderr, "fake_apiserver: %s\n", exception.what());
    return 1;
  }
  return 0;
}
