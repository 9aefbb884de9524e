// walstitch-controller: watches the agents of its groups, decides, and carries decisions out.
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <cstdio>

#include "controller/api/api.h"
#include "controller/shell/config.h"
#include "controller/shell/controller.h"

namespace {

constexpr int kExitFailed = 1;  // it could not start: a port or the store is taken
constexpr int kExitUsage = 2;   // the command line, the configuration or a policy is wrong

int Complain(const walstitch::Error& error, int code) {
  std::fprintf(stderr, "walstitch-controller: %s\n", error.Message().c_str());
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace walstitch;
  CLI::App app("Walstitch's controller: decides the failovers and rejoins of Kvrocks replication groups.");
  std::string config_path;
  bool check = false;
  app.add_option("-c,--config", config_path, "the configuration file (YAML)")->required();
  app.add_flag("--check", check, "only check the configuration and the policies");
  app.footer(std::string("Example of a configuration:\n\n") + shell::kControllerConfigExample);
  app.set_version_flag("--version", "walstitch-controller 0.1.0");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  spdlog::set_default_logger(spdlog::stderr_color_mt("walstitch-controller"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");

  auto config = shell::LoadControllerConfig(config_path);
  if (!config) return Complain(config.error(), kExitUsage);
  spdlog::set_level(spdlog::level::from_str(config->log_level));
  if (check) {
    shell::PolicyStore policies(config->policies);
    policies.Refresh();
    if (policies.Problem().empty()) {
      for (const auto& group : config->groups) (void)policies.For(group.name);
    }
    if (!policies.Problem().empty())
      return Complain(Error(ErrorCode::kInvalid, policies.Problem()), kExitUsage);
    std::printf("ok: %zu groups\n", config->groups.size());
    return 0;
  }

  boost::asio::io_context context(1);
  http::ServerOptions server_options;
  server_options.host = config->api_host;
  server_options.port = config->api_port;
  server_options.token = config->api_token;
  server_options.open_paths = {"/healthz"};  // probes carry no token
  auto controller = shell::Controller::Create(context.get_executor(), std::move(*config));
  if (!controller) {
    return Complain(controller.error(),
                    controller.error().Code() == ErrorCode::kInvalid ? kExitUsage : kExitFailed);
  }
  http::Server server(context.get_executor(), server_options, api::MakeHandler(**controller));
  if (auto started = server.Start(); !started) return Complain(started.error(), kExitFailed);
  if (auto started = (*controller)->Start(); !started) return Complain(started.error(), kExitFailed);
  spdlog::info("serving on {}:{}", server_options.host, server.Port());

  boost::asio::signal_set signals(context, SIGINT, SIGTERM);
  signals.async_wait([&](const boost::system::error_code&, int) {
    spdlog::info("stopping");
    server.Stop();
    context.stop();
  });
  context.run();
  (*controller)->Stop();
  return 0;
}
