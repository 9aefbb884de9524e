// walstitch-controller: watches the agents of its groups, decides, and carries decisions out.
#include <linux/close_range.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "agents/http/audit_log.h"
#include "agents/metrics/http_numbers.h"
#include "controller/api/api.h"
#include "controller/sentinel/service.h"
#include "controller/shell/config.h"
#include "controller/shell/policy_store.h"
#include "controller/shell/program.h"
#include "controller/shell/webhooks.h"
#include "policies/command_line/manual.h"

namespace {

constexpr const char* kVersion = "0.1.0";
constexpr int kExitFailed = 1;  // it could not start: a port or the store is taken
constexpr int kExitUsage = 2;   // the command line, the configuration or a policy is wrong

int Complain(const walstitch::Error& error, int code) {
  std::fprintf(stderr, "walstitch-controller: %s\n", error.Message().c_str());
  return code;
}

int CodeOf(const walstitch::Error& error) {
  return error.Code() == walstitch::ErrorCode::kInvalid ? kExitUsage : kExitFailed;
}

int Check(const walstitch::shell::ControllerConfig& config) {
  using namespace walstitch;
  shell::PolicyStore policies(config.policies);
  policies.Refresh();
  if (policies.Problem().empty()) {
    for (const auto& group : config.groups) (void)policies.For(group.name);
  }
  if (!policies.Problem().empty())
    return Complain(Error(ErrorCode::kInvalid, policies.Problem()), kExitUsage);
  boost::asio::io_context context;
  if (auto webhooks = shell::Webhooks::Open(context.get_executor(), config.webhooks, ""); !webhooks)
    return Complain(webhooks.error(), kExitUsage);
  if (config.kubernetes) {
    std::printf("ok: groups come from the labels of pods\n");
  } else {
    std::printf("ok: %zu groups\n", config.groups.size());
  }
  return 0;
}

std::string Manual(const CLI::App& app) {
  walstitch::ManualWords words;
  words.section = 8;
  words.version = std::string("walstitch-controller ") + kVersion;
  words.summary = "decides the failovers and rejoins of Kvrocks replication groups";
  words.sections = {
      {"SIGNALS", "SIGTERM, SIGINT\nit stops; masters go on meanwhile, by the promises of their groups."}};
  words.see_also = {"walstitch(1)", "walstitch-agent(8)"};
  return walstitch::ManualPage(walstitch::Describe(app), words);
}

// The same program with the same arguments in this process's place: its id, and so its container, stay.
// Nothing that is under way goes on, and no connection stays open.
[[noreturn]] void BeginAnew(char** argv) {
  spdlog::default_logger()->flush();
  constexpr unsigned kFirst = STDERR_FILENO + 1;
  // Not at once: other threads still write to theirs, and a number that is free is another file's in a
  // moment.
  ::close_range(kFirst, ~0U, CLOSE_RANGE_CLOEXEC);
  ::execv("/proc/self/exe", argv);
  std::_Exit(kExitFailed);  // whoever supervises it starts it again
}

}  // namespace

int main(int argc, char** argv) {
  using namespace walstitch;
  CLI::App app("Walstitch's controller: decides the failovers and rejoins of Kvrocks replication groups.",
               "walstitch-controller");
  app.formatter(HelpFormatter());
  app.set_help_flag("-h,--help", "This text");
  std::string config_path;
  shell::ConfigOverrides overrides;
  bool check = false;
  app.add_option("-c,--config", config_path, "The configuration file (YAML)")->required()->type_name("FILE");
  app.add_option("--host", overrides.host, "Where the API listens, instead of the file's `api.host`")
      ->type_name("ADDRESS");
  app.add_option("--identity", overrides.identity,
                 "This controller's name among others, as its pod has; it is shown, and marks who leads")
      ->type_name("NAME");
  app.add_flag("--check", check, "Only check the configuration and the policies, and exit");
  app.add_flag_callback(
      "--config-reference",
      [] {
        std::fputs(shell::ControllerConfigReferenceText().c_str(), stdout);
        throw CLI::Success();
      },
      "Print what the configuration file may say (Markdown), and exit");
  app.add_flag_callback(
      "--manual", [&app] { throw CLI::CallForVersion(Manual(app), 0); },
      "The manual page, as man reads it: walstitch-controller --manual | man -l -");
  app.footer(
      std::string("Example of a configuration:\n\n") + shell::kControllerConfigExample +
      "\nIn Kubernetes, instead of groups (the chart in helm/ writes it):\n\n" +
      shell::kKubernetesConfigExample + "\nTo tell others of what happens:\n\n" +
      shell::kWebhooksConfigExample +
      "\nExit status: 0 after SIGTERM or SIGINT, 1 if it cannot start, 2 for a bad command line or file.");
  app.set_version_flag("--version", std::string("walstitch-controller ") + kVersion, "Which version this is");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "walstitch-controller: %s (see walstitch-controller --help)\n", error.what());
    return kExitUsage;
  }
  spdlog::set_default_logger(spdlog::stderr_color_mt("walstitch-controller"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");

  auto config = shell::LoadControllerConfig(config_path, overrides);
  if (!config) return Complain(config.error(), kExitUsage);
  spdlog::set_level(spdlog::level::from_str(config->log_level));
  if (check) return Check(*config);

  boost::asio::io_context context(1);
  http::ServerOptions server_options;
  server_options.host = config->api_host;
  server_options.port = config->api_port;
  server_options.need = api::NeedOf;
  server_options.audit = http::AuditToLog();
  http::RaiseFileLimit();
  if (auto guarded = http::Guard(config->api_access, &server_options); !guarded)
    return Complain(guarded.error(), CodeOf(guarded.error()));
  std::optional<sentinel::ServiceOptions> sentinel_options;
  if (config->sentinel) {
    auto made = sentinel::OptionsOf(*config, kVersion);
    if (!made) return Complain(made.error(), CodeOf(made.error()));
    sentinel_options = std::move(*made);
    sentinel_options->admission = server_options.admission;
    sentinel_options->audit = server_options.audit;
  }
  shell::Program program(context.get_executor(), std::move(*config), [argv] { BeginAnew(argv); });
  if (auto opened = program.Open(); !opened) return Complain(opened.error(), CodeOf(opened.error()));
  std::optional<http::Server> server;
  std::optional<sentinel::Service> sentinel_service;
  const auto process = [&server, &sentinel_service, &program] {
    metrics::ProcessNumbers numbers;
    const auto now =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch());
    metrics::AddServer("api", server->Counts(), now.count(), &numbers);
    if (sentinel_service) metrics::AddServer("sentinel", sentinel_service->Counts(), now.count(), &numbers);
    if (const shell::Controller* controller = program.Leading())
      controller->AddCertificates(now.count(), &numbers);
    return numbers;
  };
  server.emplace(context.get_executor(), server_options, api::MakeHandler(program, process));
  if (auto started = server->Start(); !started) return Complain(started.error(), kExitFailed);
  if (sentinel_options) {
    sentinel_service.emplace(context.get_executor(), std::move(*sentinel_options), program);
    if (auto started = sentinel_service->Start(); !started) return Complain(started.error(), kExitFailed);
  }
  if (auto started = program.Start(); !started) return Complain(started.error(), CodeOf(started.error()));
  spdlog::info("serving on {}:{}", server_options.host, server->Port());
  if (sentinel_service) spdlog::info("Sentinel's protocol is served on port {}", sentinel_service->Port());

  boost::asio::signal_set signals(context, SIGINT, SIGTERM);
  signals.async_wait([&](const boost::system::error_code&, int) {
    spdlog::info("stopping");
    server->Stop();
    if (sentinel_service) sentinel_service->Stop();
    program.Stop([&context] { context.stop(); });
  });
  context.run();
  program.Join();
  return 0;
}
