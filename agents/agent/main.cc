// walstitch-agent: runs one agent until SIGTERM or SIGINT.
#include <signal.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <cstdio>
#include <string>

#include "agents/agent/agent.h"
#include "agents/agent/config.h"
#include "agents/http/http_server.h"
#include "policies/command_line/manual.h"

namespace {

constexpr const char* kVersion = "walstitch-agent 0.1.0";

constexpr int kStartFailed = 1;
constexpr int kBadUsage = 2;

void SetUpLog(const std::string& level) {
  auto logger = spdlog::stderr_logger_mt("walstitch-agent");
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  logger->set_level(spdlog::level::from_str(level));
  spdlog::set_default_logger(logger);
}

int Run(const walstitch::agent::AgentConfig& config) {
  signal(SIGPIPE, SIG_IGN);  // hiredis writes without MSG_NOSIGNAL
  SetUpLog(config.log_level);
  walstitch::http::RaiseFileLimit();
  boost::asio::io_context context(1);
  walstitch::agent::Agent agent(context.get_executor(), config);
  boost::asio::signal_set signals(context, SIGTERM, SIGINT);
  auto started = agent.Start();
  if (!started) {
    std::fprintf(stderr, "walstitch-agent: %s\n", started.error().Message().c_str());
    return kStartFailed;
  }
  signals.async_wait([&](boost::system::error_code error, int number) {
    if (error) return;
    spdlog::info("Stopping on signal {}.", number);
    agent.Stop();
    context.stop();
  });
  context.run();
  return 0;
}

std::string Manual(const CLI::App& app) {
  walstitch::ManualWords words;
  words.section = 8;
  words.version = kVersion;
  words.summary = "the agent beside one Kvrocks node";
  words.sections = {
      {"SIGNALS",
       "SIGTERM, SIGINT\nit stops; its server goes on, and its relay's link is made again later."}};
  words.see_also = {"walstitch(1)", "walstitch-controller(8)"};
  return walstitch::ManualPage(walstitch::Describe(app), words);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "The agent beside one Kvrocks node: its relay, its reporter, and the hand that switches its role.",
      "walstitch-agent");
  app.formatter(walstitch::HelpFormatter());
  app.set_help_flag("-h,--help", "This text");
  app.footer(
      "Example of a configuration file:\n\n" + std::string(walstitch::agent::ExampleConfig()) +
      "Exit status: 0 after SIGTERM or SIGINT, 1 if it cannot start, 2 for a bad command line or file.");
  std::string path;
  walstitch::agent::ConfigOverrides overrides;
  bool check = false;
  app.add_option("-c,--config", path, "The configuration file (YAML)")->required()->type_name("FILE");
  app.add_option("--node", overrides.node, "This node's name, instead of the file's `node`")
      ->type_name("NAME");
  app.add_option("--host", overrides.host,
                 "Where the API listens and the server is announced, instead of the file's `api.host` and "
                 "`announce.host`")
      ->type_name("ADDRESS");
  app.add_flag("--check", check, "Only check the configuration file, and exit");
  app.add_flag_callback(
      "--config-reference",
      [] {
        std::fputs(walstitch::agent::ConfigReferenceText().c_str(), stdout);
        throw CLI::Success();
      },
      "Print what the configuration file may say (Markdown), and exit");
  app.add_flag_callback(
      "--manual", [&app] { throw CLI::CallForVersion(Manual(app), 0); },
      "The manual page, as man reads it: walstitch-agent --manual | man -l -");
  app.set_version_flag("--version", kVersion, "Which version this is");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "walstitch-agent: %s (see walstitch-agent --help)\n", error.what());
    return kBadUsage;
  }
  auto config = walstitch::agent::LoadConfig(path, overrides);
  if (!config) {
    std::fprintf(stderr, "walstitch-agent: config %s\n", config.error().Message().c_str());
    return kBadUsage;
  }
  if (check) {
    std::printf("%s: the configuration of node %s of group %s is good\n", path.c_str(), config->node.c_str(),
                config->group.c_str());
    return 0;
  }
  return Run(*config);
}
