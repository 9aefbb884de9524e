#include "controller/cli/app.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <optional>

#include "controller/cli/decision_commands.h"
#include "controller/cli/decision_replay.h"
#include "controller/cli/group_commands.h"
#include "controller/cli/policy_commands.h"
#include "controller/cli/salvage_commands.h"
#include "controller/cli/text.h"
#include "controller/cli/wal_commands.h"
#include "policies/command_line/completion.h"
#include "policies/command_line/manual.h"
#include "policies/command_line/words.h"
#include "policies/config_reader.h"
#include "policies/quantity.h"

namespace walstitch::cli {
namespace {

constexpr const char* kVersion = "walstitch 0.1.0";

constexpr const char* kMainFooter = R"(Exit codes:
  0  done, or the answer is "fine"
  1  the answer is "no": refused, failed, damage found, histories differ, policy invalid
  2  wrong usage or bad input
  3  the controller, or a server, was not reached or did not answer in time
  4  it is not known whether it happened, or the verdict is hold

Examples:
  walstitch status
  walstitch plan shop
  walstitch switchover shop --to n2
  walstitch pause shop --reason "new switches tonight"
  walstitch decisions show latest
  walstitch COMMAND --help

The options above may stand before or behind the command.)";

constexpr const char* kEnvironment = R"(WALSTITCH_CONTROLLER, WALSTITCH_TOKEN_FILE, WALSTITCH_CA_FILE,
WALSTITCH_CERTIFICATE_FILE, WALSTITCH_KEY_FILE, WALSTITCH_SERVER_NAME
as the options of the same names; what is typed wins.

WALSTITCH_NODE_PASSWORD_FILE
as --password-file: the password of the servers that `wal` asks.

NO_COLOR
set, and not empty: no colours, unless --color asks for them.)";

// Looks that follow closer tell people nothing more, and keep the controller busy.
constexpr std::chrono::milliseconds kShortestInterval{50};

// What CLI11 fills in; one of each, whatever the command.
struct Parsed {
  ControllerOptions controller;
  std::string token_file;
  http::TlsFiles tls;
  std::string timeout;
  std::string output = "table";
  std::string group;
  std::string node;
  bool check = false;
  bool watch = false;
  std::string interval;
  std::chrono::milliseconds interval_ms{2000};
  std::string color = "auto";
  std::string names;
  RoleChange change;
  GroupOrder order;
  std::string on_or_off;
  std::string deadline;
  DecisionListOptions list;
  std::string decision = "latest";
  std::uint64_t max_keys = 20;
  DecisionReplayOptions decision_replay;
  SalvageShowOptions salvage;
  SalvageReplayOptions replay;
  std::string file;
  std::string expect;
  std::vector<std::string> policy_paths;
  ExplainOptions explain;
  SourceOptions sources;
  std::string bare_directory;         // given without --dir
  std::string second_bare_directory;  // of two
  std::string password_file;
  std::optional<std::uint64_t> sequence;
  std::string bare_sequence;  // given without --sequence
  WalRange range;
  bool follow = false;
  WalRecordFilter filter;
  WalStatOptions stat;
  WalDiffOptions diff;
};

Result<std::string> ReadSecret(const std::string& path, std::string_view option) {
  auto secret = ReadSecretFile(path);
  if (!secret) return Fail(ErrorCode::kInvalid, std::string(option) + ": " + secret.error().Message());
  if (secret->empty()) return Fail(ErrorCode::kInvalid, std::string(option) + ": " + path + ": is empty");
  return secret;
}

// A secret that stands in a variable itself, and not the name of its file in NAME_FILE.
Result<void> RefuseInEnvironment(const std::string& variable, const std::string& what) {
  if (std::getenv(variable.c_str()) == nullptr) return {};
  return Fail(ErrorCode::kInvalid, variable +
                                       " is not read, as other programs may see an environment: put the " +
                                       what + " in a file, and name that in " + variable + "_FILE");
}

// What the controller is shown, and by what it is known.
Result<void> ReadCredentials(Parsed* parsed) {
  http::TokenSource token;
  token.file = parsed->token_file;
  if (token.file.empty()) {
    if (auto none = RefuseInEnvironment("WALSTITCH_TOKEN", "token"); !none) return none;
  }
  auto shown = http::Credentials::Load(token, std::nullopt);
  if (!shown) return Fail(ErrorCode::kInvalid, "--token-file: " + shown.error().Message());
  http::TlsFiles& tls = parsed->tls;
  if (tls.certificate.empty() != tls.key.empty())
    return Fail(ErrorCode::kInvalid, "--certificate-file and --key-file belong together: give both or none");
  if (tls != http::TlsFiles() || parsed->controller.url.starts_with("https://")) {
    shown = http::Credentials::Load(token, tls);
    if (!shown)
      return Fail(ErrorCode::kInvalid,
                  "--ca-file, --certificate-file, --key-file: " + shown.error().Message());
  }
  parsed->controller.credentials = std::move(*shown);
  return {};
}

// The parts of Parsed that are more than text.
Result<void> Complete(Parsed* parsed) {
  if (auto shown = ReadCredentials(parsed); !shown) return shown;
  if (!parsed->timeout.empty()) {
    auto timeout = ParseDuration(parsed->timeout);
    if (!timeout) return Fail(timeout.error(), "--timeout");
    parsed->controller.timeout = *timeout;
    parsed->sources.timeout = *timeout;
  }
  if (!parsed->interval.empty()) {
    auto interval = ParseDuration(parsed->interval);
    if (!interval) return Fail(interval.error(), "--interval");
    if (*interval < kShortestInterval) {
      return Fail(ErrorCode::kInvalid, "--interval: expected " + DurationText(kShortestInterval.count()) +
                                           " or more, not " + DurationText(interval->count()));
    }
    parsed->interval_ms = *interval;
  }
  if (!parsed->deadline.empty()) {
    auto deadline = ParseDuration(parsed->deadline);
    if (!deadline) return Fail(deadline.error(), "--deadline");
    parsed->change.deadline = *deadline;
  }
  if (!parsed->password_file.empty()) {
    auto password = ReadSecret(parsed->password_file, "--password-file");
    if (!password) return Fail(password.error());
    parsed->sources.password = *password;
  } else if (auto none = RefuseInEnvironment("WALSTITCH_NODE_PASSWORD", "password"); !none) {
    return none;
  }
  // `locate --server HOST:PORT 1003`: the only bare word is the sequence.
  SourceOptions& sources = parsed->sources;
  if (parsed->bare_sequence.empty() && !parsed->sequence &&
      sources.directories.size() + sources.servers.size() == 1) {
    parsed->bare_sequence.swap(parsed->bare_directory);
  }
  for (const std::string* bare : {&parsed->second_bare_directory, &parsed->bare_directory}) {
    if (!bare->empty()) sources.directories.insert(sources.directories.begin(), *bare);
  }
  parsed->change.group = parsed->group;
  parsed->order.group = parsed->group;
  parsed->order.node = parsed->node;
  parsed->order.on = parsed->on_or_off == "on";
  parsed->list.group = parsed->group;
  parsed->list.node = parsed->node;
  parsed->explain.group = parsed->group;
  parsed->explain.paths = parsed->policy_paths;
  return {};
}

using Run = std::function<ExitCode(const Console&, const ControllerClient&)>;

// Builds the commands; the one that was typed leaves its function in `run`.
class CommandLine {
 public:
  explicit CommandLine(const Terminal& terminal)
      : terminal_(terminal),
        app_("Runs the failovers of Apache Kvrocks groups: asks and orders a Walstitch controller.",
             "walstitch") {
    app_.formatter(HelpFormatter());
    app_.set_version_flag("--version", kVersion, "Which version this is");
    app_.set_help_flag("-h,--help", "This text; behind a command: that command's");
    app_.add_flag_callback(
        "--manual", [this] { throw CLI::CallForVersion(Manual(), 0); },
        "The manual page, as man reads it: walstitch --manual | man -l -");
    app_.footer(kMainFooter);
    app_.require_subcommand(1);
    app_.fallthrough();
    app_.add_option("--controller", parsed_.controller.url,
                    "The controller, http://host:port or https://host:port")
        ->type_name("URL")
        ->envname("WALSTITCH_CONTROLLER")
        ->capture_default_str();
    app_.add_option("--token-file", parsed_.token_file, "File with the controller's token")
        ->type_name("FILE")
        ->envname("WALSTITCH_TOKEN_FILE");
    app_.add_option(
            "--ca-file", parsed_.tls.authority,
            "File with the certificates that the controller's must come from (https; default: what the "
            "system trusts)")
        ->type_name("FILE")
        ->envname("WALSTITCH_CA_FILE");
    app_.add_option("--certificate-file", parsed_.tls.certificate,
                    "File with the certificate to show to the controller")
        ->type_name("FILE")
        ->envname("WALSTITCH_CERTIFICATE_FILE");
    app_.add_option("--key-file", parsed_.tls.key, "File with the key of that certificate")
        ->type_name("FILE")
        ->envname("WALSTITCH_KEY_FILE");
    app_.add_option("--server-name", parsed_.tls.server_name,
                    "The name that the controller's certificate must be for, if not the address's")
        ->type_name("NAME")
        ->envname("WALSTITCH_SERVER_NAME");
    app_.add_option("--timeout", parsed_.timeout,
                    "How long to wait for an answer, such as 500ms, 5s, 2m (default: 10s; for orders 60s)")
        ->type_name("DURATION");
    app_.add_option("--output,-o", parsed_.output, "table (for people) or json (for programs)")
        ->check(CLI::IsMember({"table", "json"}))
        ->capture_default_str();
    app_.add_option("--color", parsed_.color, "Colours: at a terminal and without NO_COLOR, always, or never")
        ->check(CLI::IsMember({"auto", "always", "never"}))
        ->capture_default_str();
    AddGroupCommands();
    AddOrders();
    AddDecisionCommands();
    AddSalvageCommands();
    AddPolicyCommands();
    AddWalCommands();
    AddCompletion();
  }

  CLI::App& App() { return app_; }
  Parsed& Values() { return parsed_; }
  [[nodiscard]] const Run& Chosen() const { return run_; }

 private:
  CLI::App* Add(CLI::App* parent, const std::string& name, const std::string& description,
                const std::string& footer, Run run) {
    CLI::App* command = parent->add_subcommand(name, description);
    command->footer(footer + "\nOptions for all commands and the exit codes: walstitch --help");
    if (run) {
      command->final_callback([this, run = std::move(run)] { run_ = run; });
    } else {
      command->require_subcommand(1);
    }
    return command;
  }

  void AddGroup(CLI::App* command) { command->add_option("group", parsed_.group, "The group")->required(); }

  void AddGroupCommands() {
    auto* status =
        Add(&app_, "status", "Shows the groups: nodes, findings, open decisions",
            "With --watch, a controller that is restarted is looked for again. Where the output is no\n"
            "terminal, each look is written behind the one before; with -o json, as one line.\n\n"
            "Examples:\n  walstitch status\n  walstitch status shop --check || echo look at it\n"
            "  walstitch status --watch --interval 1s\n"
            "  walstitch status -o json | jq '.groups[].master'\n",
            [this](const Console& console, const ControllerClient& controller) {
              if (!parsed_.watch) return StatusCommand(console, controller, parsed_.group, parsed_.check);
              return WatchStatusCommand(console, controller, parsed_.group, parsed_.interval_ms, terminal_);
            });
    status->add_option("group", parsed_.group, "Only this group");
    auto* check = status->add_flag("--check", parsed_.check,
                                   "Exit with 1 unless there is a master, no finding and no open decision");
    auto* watch =
        status->add_flag("--watch", parsed_.watch, "Look again and again, until Ctrl-C")->excludes(check);
    status
        ->add_option("--interval", parsed_.interval,
                     "How long between two looks of --watch, at least 50ms (default: 2s)")
        ->type_name("DURATION")
        ->needs(watch);

    auto* plan = Add(&app_, "plan", "Shows what would be decided now for each node; changes nothing",
                     "Exits with 4 if a verdict would be hold, with 1 if something would be refused.\n\n"
                     "Examples:\n  walstitch plan shop\n",
                     [this](const Console& console, const ControllerClient& controller) {
                       return PlanCommand(console, controller, parsed_.group);
                     });
    AddGroup(plan);

    struct Verb {
      const char* name;
      const char* description;
      const char* footer;
    };
    const Verb verbs[] = {
        {"failover", "Promotes another node because the master is gone",
         "Examples:\n  walstitch failover shop --dry-run\n  walstitch failover shop --to n2\n"},
        {"switchover", "Moves the master's role to another node, losing nothing",
         "Examples:\n  walstitch switchover shop --dry-run\n  walstitch switchover shop --to n2 --deadline "
         "5s\n"},
        {"adopt", "Takes over a group that already replicates, without a write lost",
         "Examples:\n  walstitch adopt shop --dry-run\n  walstitch adopt shop\n"},
        {"release", "Undoes adopt: direct replication again, nothing of ours needed",
         "Examples:\n  walstitch release shop --dry-run\n  walstitch release shop\n"},
    };
    for (const auto& verb : verbs) {
      const std::string name = verb.name;
      auto* command = Add(&app_, name, verb.description, verb.footer,
                          [this, name](const Console& console, const ControllerClient& controller) {
                            parsed_.change.verb = name;
                            return RoleChangeCommand(console, controller, parsed_.change);
                          });
      AddGroup(command);
      if (name == "failover" || name == "switchover") {
        command
            ->add_option("--to", parsed_.change.to, "The node to promote; left out: the controller chooses")
            ->type_name("NODE");
      }
      if (name == "failover") {
        command->add_flag(
            "--force", parsed_.change.force,
            "Also when it is not sure that the old master is down: may lose what it alone holds");
        command->add_flag("--no-rescue", parsed_.change.no_rescue,
                          "Leave what the dead master has on its disk to its return, and promote at once");
      }
      if (name == "switchover") {
        command
            ->add_option("--deadline", parsed_.deadline,
                         "How long writes may stand still; then the old master goes on (such as 5s)")
            ->type_name("DURATION");
      }
      command->add_flag("--dry-run", parsed_.change.dry_run, "Show what would be done, and change nothing");
    }
  }

  // Orders that say how a group is to be treated from now on; each is a decision on record.
  void AddOrders() {
    struct Verb {
      const char* name;
      const char* description;
      const char* footer;
    };
    const Verb verbs[] = {
        {"pause", "Nothing is done in the group without being asked, until it is resumed",
         "No failover and no rejoin by itself. Leases go on: the master keeps taking writes. What an\n"
         "operator orders is still carried out.\n\n"
         "Examples:\n  walstitch pause shop\n  walstitch pause shop --reason \"new switches tonight\"\n"},
        {"resume", "Ends a pause: the controller acts by itself again",
         "Examples:\n  walstitch resume shop\n"},
        {"unblock", "Ends the block after a failover: the group may be failed over again at once",
         "For a group whose new master is lost too, and whose first loss is understood.\n\n"
         "Examples:\n  walstitch unblock shop\n"},
        {"maintenance", "A node under maintenance is not promoted, and is missed by nobody",
         "If it is the master, nothing is moved: order a switchover first.\n\n"
         "Examples:\n  walstitch maintenance shop n3 on --reason \"a new disk\"\n"
         "  walstitch maintenance shop n3 off\n"},
    };
    for (const auto& verb : verbs) {
      const std::string name = verb.name;
      auto* command = Add(&app_, name, verb.description, verb.footer,
                          [this, name](const Console& console, const ControllerClient& controller) {
                            parsed_.order.verb = name;
                            return GroupOrderCommand(console, controller, parsed_.order);
                          });
      AddGroup(command);
      if (name == "maintenance") {
        command->add_option("node", parsed_.node, "The node")->required();
        command->add_option("on|off", parsed_.on_or_off, "Whether it is under maintenance from now on")
            ->required()
            ->check(CLI::IsMember({"on", "off"}));
      }
      if (name == "pause" || name == "maintenance") {
        command->add_option("--reason", parsed_.order.reason, "Why, for those who look at the status")
            ->type_name("TEXT");
      }
    }
  }

  void AddDecisionCommands() {
    auto* decisions =
        Add(&app_, "decisions", "Reads the decision log: what was decided, why, and how it ended",
            "Examples:\n  walstitch decisions list\n  walstitch decisions show latest\n"
            "  walstitch decisions verify\n",
            nullptr);
    auto* list =
        Add(decisions, "list", "Lists decisions, newest first",
            "Examples:\n  walstitch decisions list\n  walstitch decisions list shop --node n1 --max 10\n",
            [this](const Console& console, const ControllerClient& controller) {
              return ListDecisionsCommand(console, controller, parsed_.list);
            });
    list->add_option("group", parsed_.group, "Only of this group");
    list->add_option("--node", parsed_.node, "Only about this node")->type_name("NODE");
    list->add_option("--max", parsed_.list.max, "At most so many")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1000}))
        ->capture_default_str();

    auto* show = Add(
        decisions, "show", "Shows one decision from its finding to its outcome",
        "Examples:\n  walstitch decisions show latest\n  walstitch decisions show 01JD3Z --max-keys 200\n",
        [this](const Console& console, const ControllerClient& controller) {
          return ShowDecisionCommand(console, controller, parsed_.decision, parsed_.max_keys);
        });
    show->add_option("id", parsed_.decision, "Its id, or a beginning or end of it that is unique; or latest")
        ->capture_default_str();
    show->add_option("--max-keys", parsed_.max_keys, "How many divergent keys to list")
        ->capture_default_str();

    auto* verify =
        Add(decisions, "verify", "Walks the log's chain of hashes: shows any change, gap, or cut",
            "Note down the head that it prints: with --expect a later run also shows a log that was\n"
            "rewritten as a whole.\n\n"
            "Examples:\n  walstitch decisions verify\n  walstitch decisions verify --file decisions.log\n"
            "  walstitch decisions verify --expect 42:9f2c...\n",
            [this](const Console& console, const ControllerClient& controller) {
              if (parsed_.file.empty()) return VerifyLogCommand(console, controller, parsed_.expect);
              std::ifstream file(parsed_.file, std::ios::binary);
              if (!file) {
                return console.Complain(ExitCode::kUsage, "--file " + parsed_.file + ": cannot be read");
              }
              return VerifyFileCommand(console, file, parsed_.file, parsed_.expect);
            });
    verify
        ->add_option("--file", parsed_.file, "What `decisions export` wrote, instead of the controller's log")
        ->type_name("FILE");
    verify->add_option("--expect", parsed_.expect, "A head noted down earlier; it must be in the chain")
        ->type_name("INDEX:HASH");

    auto* replay = Add(
        decisions, "replay", "What another policy would have decided on the same evidence; changes nothing",
        "With an id: that rejoin. Without: every rejoin on record, with what it would cost in full syncs,\n"
        "keys and bytes. Each group is judged by the files that are for it.\n\n"
        "Examples:\n  walstitch decisions replay latest --policy new.yaml\n"
        "  walstitch decisions replay --policy policies/ --group shop\n"
        "  walstitch decisions replay --policy new.yaml --file decisions.log -o json\n",
        [this](const Console& console, const ControllerClient& controller) {
          return ReplayDecisionsCommand(console, controller, parsed_.decision_replay);
        });
    replay->add_option("id", parsed_.decision_replay.id,
                       "Its id, or a beginning or end of it that is unique; or latest; left out: all");
    replay
        ->add_option("--policy", parsed_.decision_replay.policies,
                     "A policy file, or a directory of them; may be repeated")
        ->type_name("FILE")
        ->required()
        ->allow_extra_args(false);
    replay->add_option("--group", parsed_.decision_replay.group, "Only of this group")->type_name("GROUP");
    replay
        ->add_option("--file", parsed_.decision_replay.file,
                     "What `decisions export` wrote, instead of the controller's log")
        ->type_name("FILE");
    replay->add_flag("--check", parsed_.decision_replay.check, "Exit with 1 if a verdict would be another");

    Add(decisions, "export", "Writes the log's lines as they stand, and its head as the last one",
        "Examples:\n  walstitch decisions export > decisions.log\n  walstitch decisions verify --file "
        "decisions.log\n",
        [this](const Console& console, const ControllerClient& controller) {
          return ExportLogCommand(console, controller, terminal_.out);
        });
  }

  void AddSalvageCommands() {
    auto* salvage =
        Add(&app_, "salvage", "Tails that were given up: shows what they held, and brings it back",
            "Before a node gives up records that its master never saw, its agent keeps them.\n\n"
            "Examples:\n  walstitch salvage list\n  walstitch salvage show latest\n"
            "  walstitch salvage replay latest --key 'cart:*' --dry-run\n",
            nullptr);
    auto* list = Add(salvage, "list", "Lists salvages, newest first",
                     "Exits with 1 if one is damaged, with 3 if an agent was not heard.\n\n"
                     "Examples:\n  walstitch salvage list\n  walstitch salvage list shop\n",
                     [this](const Console& console, const ControllerClient& controller) {
                       return ListSalvagesCommand(console, controller, parsed_.group);
                     });
    list->add_option("group", parsed_.group, "Only of this group");

    auto* show =
        Add(salvage, "show", "Shows what a salvage holds: its keys, or with --records its records",
            "Its files are checked first: one that is not as it was written is said to be damaged.\n\n"
            "Examples:\n  walstitch salvage show latest\n"
            "  walstitch salvage show 01JD3Z --key 'cart:*' --max 100\n"
            "  walstitch salvage show 01JD3Z --records -o json | jq '.records[].key'\n",
            [this](const Console& console, const ControllerClient& controller) {
              return ShowSalvageCommand(console, controller, parsed_.salvage);
            });
    show->add_option("id", parsed_.salvage.id,
                     "Its id, or a beginning or end of it that is unique; or latest")
        ->capture_default_str();
    show->add_option("--key", parsed_.salvage.key, "Only keys that match, such as 'cart:*'")
        ->type_name("GLOB");
    show->add_option("--namespace", parsed_.salvage.name_space, "Only of this namespace")->type_name("GLOB");
    show->add_option("--keyspace", parsed_.salvage.keyspace, "Only of this keyspace of the policy in force")
        ->type_name("NAME");
    show->add_flag("--records", parsed_.salvage.records, "The records of the tail, instead of its keys");
    show->add_option("--max", parsed_.salvage.max, "At most so many")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1000000}))
        ->capture_default_str();

    auto* replay = Add(
        salvage, "replay", "Writes keys of a salvage back to the master",
        "A key that the master changed since is left alone, unless --overwrite is given; so is every key\n"
        "where the master's WAL no longer tells. It is a decision on record.\n\n"
        "Examples:\n  walstitch salvage replay latest --key 'cart:*' --dry-run\n"
        "  walstitch salvage replay 01JD3Z --key 'cart:*' --key 'order:*'\n"
        "  walstitch salvage replay 01JD3Z --keyspace carts --overwrite\n",
        [this](const Console& console, const ControllerClient& controller) {
          return ReplaySalvageCommand(console, controller, parsed_.replay);
        });
    replay
        ->add_option("id", parsed_.replay.id, "Its id, or a beginning or end of it that is unique; or latest")
        ->required();
    replay->add_option("--key", parsed_.replay.keys, "Keys that match, such as 'cart:*'; may be repeated")
        ->type_name("GLOB")
        ->allow_extra_args(false);
    replay->add_option("--namespace", parsed_.replay.namespaces, "Of this namespace; may be repeated")
        ->type_name("GLOB")
        ->allow_extra_args(false);
    replay
        ->add_option("--keyspace", parsed_.replay.keyspaces,
                     "Of this keyspace of the policy in force; may be repeated")
        ->type_name("NAME")
        ->allow_extra_args(false);
    replay->add_flag("--all", parsed_.replay.all, "Every key of it");
    replay->add_flag("--dry-run", parsed_.replay.dry_run, "Show what would be done, and change nothing");
    replay->add_flag("--overwrite", parsed_.replay.overwrite, "Also keys that changed since");
    replay->add_flag("--deletions", parsed_.replay.deletions, "Also delete the keys that the tail deleted");
  }

  void AddPolicyCommands() {
    auto* policy = Add(&app_, "policy", "Checks tolerance policies, and explains what they say of a key",
                       "Examples:\n  walstitch policy check policies/\n"
                       "  walstitch policy explain policies/ --key sess:42 --type hash\n",
                       nullptr);
    auto* check = Add(
        policy, "check", "Reads policy files as the controller would",
        "Exits with 1 if a policy is invalid, with 2 if a file cannot be read.\n\n"
        "Examples:\n  walstitch policy check shop.yaml\n  walstitch policy check policies/ --group shop\n",
        [this](const Console& console, const ControllerClient&) {
          return CheckPolicyCommand(console, parsed_.policy_paths, parsed_.group);
        });
    auto* explain =
        Add(policy, "explain", "Shows which rule decides over a key, and why the others do not",
            "Bytes of a key that cannot be typed are written \\xHH, a backslash \\\\.\n\n"
            "Examples:\n  walstitch policy explain shop.yaml --key sess:42 --type hash\n"
            "  walstitch policy explain policies/ --namespace orders --key 'o:\\x00\\x01' --group shop\n",
            [this](const Console& console, const ControllerClient&) {
              return ExplainPolicyCommand(console, parsed_.explain);
            });
    for (auto* command : {check, explain}) {
      command->add_option("file", parsed_.policy_paths, "Policy files, or directories of *.yaml and *.yml")
          ->required();
      command->add_option("--group", parsed_.group, "Only the files that are for this group, merged")
          ->type_name("GROUP");
    }
    explain->add_option("--key", parsed_.explain.key, "The key")->required()->type_name("KEY");
    explain->add_option("--namespace", parsed_.explain.name_space, "The namespace it is in")
        ->type_name("NAME")
        ->capture_default_str();
    explain
        ->add_option("--type", parsed_.explain.type,
                     "Its type, such as string, hash or zset; left out: not known")
        ->type_name("TYPE");
  }

  void AddDirectories(CLI::App* command, bool two) {
    if (two) {
      command->add_option("A", parsed_.bare_directory,
                          "A data directory (it contains db/), of a server alive or dead, or a copy");
      command->add_option("B", parsed_.second_bare_directory, "Another one");
    } else {
      command->add_option("DIR", parsed_.bare_directory,
                          "The data directory (it contains db/), of a server alive or dead, or a copy");
    }
    command->add_option("--dir", parsed_.sources.directories, "The same")
        ->type_name("DIR")
        ->allow_extra_args(false);
  }

  void AddSources(CLI::App* command, bool two) {
    AddDirectories(command, two);
    command
        ->add_option("--server", parsed_.sources.servers,
                     "Or host:port of a running server, asked by POLLUPDATES (an admin command)")
        ->type_name("HOST:PORT")
        ->allow_extra_args(false);
    command->add_option("--password-file", parsed_.password_file, "File with the servers' password")
        ->envname("WALSTITCH_NODE_PASSWORD_FILE")
        ->type_name("FILE");
  }

  void AddFromTo(CLI::App* command) {
    command->add_option("--from", parsed_.range.from, "First sequence; left out: the oldest")
        ->type_name("SEQUENCE");
    command->add_option("--to", parsed_.range.to, "Sequence to end before; left out: the end")
        ->type_name("SEQUENCE");
  }

  CLI::Option* AddRange(CLI::App* command) {  // gives --limit
    AddFromTo(command);
    return command->add_option("--limit,--max", parsed_.range.limit, "At most so many")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1000000}))
        ->type_name("N")
        ->capture_default_str();
  }

  void AddCluster(CLI::App* command) {
    command->add_flag("--cluster", parsed_.range.cluster,
                      "The server runs in cluster mode: its keys carry a slot");
  }

  void AddPolicyFiles(CLI::App* command, std::vector<std::string>* paths, const std::string& description) {
    command->add_option("--policy", *paths, description)->type_name("FILE")->allow_extra_args(false);
  }

  Run OnWal(std::function<ExitCode(const Console&, NamedSource&)> command) {
    return [this, command = std::move(command)](const Console& console, const ControllerClient&) {
      auto sources = OpenSources(parsed_.sources, 1);
      if (!sources) return console.Complain(sources.error());
      return command(console, sources->front());
    };
  }

  void AddWalCommands() {
    auto* wal =
        Add(&app_, "wal", "Reads a Kvrocks server's WAL; needs no controller and writes nothing",
            "Works on the data directory of a server that runs, of one that is down, and on a copy.\n\n"
            "Examples:\n  walstitch wal info /var/lib/kvrocks\n"
            "  walstitch wal stat /var/lib/kvrocks --top 20\n"
            "  walstitch wal verify /backup/kvrocks && echo whole\n"
            "  walstitch wal diff /backup/n1 /var/lib/kvrocks\n",
            nullptr);
    auto* info =
        Add(wal, "info", "Shows the logs, from where to where they go, and how long they will stay",
            "How long a log stays is reckoned from WAL_ttl_seconds and WAL_size_limit_MB in db/OPTIONS-*.\n"
            "Exits with 1 if the WAL is broken, or does not hold the --sequence.\n\n"
            "Examples:\n  walstitch wal info /var/lib/kvrocks\n"
            "  walstitch wal info /var/lib/kvrocks --sequence 1003\n"
            "  walstitch wal info --server 10.0.0.2:6666\n",
            OnWal([this](const Console& console, NamedSource& source) {
              return WalInfoCommand(console, source, {.sequence = parsed_.sequence});
            }));
    AddSources(info, false);
    info->add_option("--sequence", parsed_.sequence, "Also: how long will the log with this one stay?")
        ->type_name("SEQUENCE");

    auto* locate =
        Add(wal, "locate", "Shows the batch that holds a sequence, its file, and the next boundary",
            "Exits with 1 if the sequence is purged or not yet written.\n\n"
            "Examples:\n  walstitch wal locate /var/lib/kvrocks 1003\n"
            "  walstitch wal locate --server 10.0.0.2:6666 1003\n",
            OnWal([this](const Console& console, NamedSource& source) {
              auto sequence = SequenceAsked();
              if (!sequence) return console.Complain(sequence.error());
              return WalLocateCommand(console, source, *sequence);
            }));
    AddSources(locate, false);
    locate->add_option("SEQUENCE", parsed_.bare_sequence, "The sequence");
    locate->add_option("--sequence", parsed_.sequence, "The same")->type_name("SEQUENCE");

    auto* batches =
        Add(wal, "batches", "Lists batches with their digests",
            "With --follow, each batch as it is written, until Ctrl-C or --limit batches were shown;\n"
            "without --from, from now on.\n\n"
            "Examples:\n  walstitch wal batches /var/lib/kvrocks --from 1000 --to 1100\n"
            "  walstitch wal batches /var/lib/kvrocks --follow\n",
            OnWal([this](const Console& console, NamedSource& source) {
              if (!parsed_.follow) return WalBatchesCommand(console, source, parsed_.range);
              WalFollowOptions follow{parsed_.range.from, std::nullopt};
              if (follow_limit_->count() > 0) follow.limit = parsed_.range.limit;
              return WalFollowCommand(console, source, follow);
            }));
    AddSources(batches, false);
    follow_limit_ = AddRange(batches);
    batches->add_flag("--follow", parsed_.follow, "Goes on with what is written from now on")
        ->excludes(batches->get_option("--to"));

    auto* records =
        Add(wal, "records", "Lists records, decoded: operation, namespace, key, type",
            "Globs are those of Redis, on raw bytes (\\xHH is a byte). A record that does not tell its\n"
            "type, such as a DEL, fits no --type.\n\n"
            "Examples:\n  walstitch wal records /var/lib/kvrocks --from 1000 --limit 20\n"
            "  walstitch wal records /var/lib/kvrocks --key 'sess:*' --type hash\n"
            "  walstitch wal records /var/lib/kvrocks --policy shop.yaml --keyspace page-cache\n",
            OnWal([this](const Console& console, NamedSource& source) {
              return WalRecordsCommand(console, source, parsed_.range, parsed_.filter);
            }));
    AddSources(records, false);
    AddRange(records);
    records->add_option("--namespace", parsed_.filter.name_space, "Only of namespaces that this glob matches")
        ->type_name("GLOB");
    records->add_option("--key", parsed_.filter.key, "Only of keys that this glob matches")
        ->type_name("GLOB");
    records->add_option("--type", parsed_.filter.type, "Only of this type, such as string, hash or zset")
        ->type_name("TYPE");
    records->add_option("--keyspace", parsed_.filter.keyspace, "Only of this keyspace of the --policy")
        ->type_name("NAME");
    AddPolicyFiles(
        records, &parsed_.filter.policy_paths,
        "The policy that names the --keyspace: a file or a directory; may be given more than once");
    AddCluster(records);

    auto* stat = Add(wal, "stat", "Shows who writes how much: by namespace, key prefix, type, column family",
                     "Bytes are those of keys and values; a prefix goes up to the first delimiter.\n"
                     "Goes on behind what cannot be read, and then exits with 1.\n\n"
                     "Examples:\n  walstitch wal stat /var/lib/kvrocks\n"
                     "  walstitch wal stat /var/lib/kvrocks --top 50 --delimiter / --depth 2\n",
                     OnWal([this](const Console& console, NamedSource& source) {
                       parsed_.stat.range = parsed_.range;
                       return WalStatCommand(console, source, parsed_.stat);
                     }));
    AddSources(stat, false);
    AddFromTo(stat);
    stat->add_option("--top", parsed_.stat.top, "How many rows to show of each; the rest is one row")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{10000}))
        ->type_name("N")
        ->capture_default_str();
    stat->add_option("--delimiter", parsed_.stat.delimiter, "What ends a prefix")
        ->type_name("TEXT")
        ->capture_default_str();
    stat->add_option("--depth", parsed_.stat.depth, "A prefix ends with the N-th delimiter")
        ->check(CLI::Range(std::uint32_t{1}, std::uint32_t{100}))
        ->type_name("N")
        ->capture_default_str();
    AddCluster(stat);

    auto* verify = Add(
        wal, "verify", "Reads everything: checksums, batches, counts, sequences without jumps",
        "Goes on with the next log after damage. A torn tail, as a crash leaves it, is no fault.\n"
        "Exits with 1 if something is damaged or missing.\n\n"
        "Examples:\n  walstitch wal verify /backup/kvrocks\n"
        "  walstitch wal verify /backup/kvrocks -o json | jq '.findings[] | select(.fault)'\n",
        OnWal([](const Console& console, NamedSource& source) { return WalVerifyCommand(console, source); }));
    AddDirectories(verify, false);

    auto* diff =
        Add(wal, "diff", "Shows where two histories part, and the keys that each side touched after it",
            "The first WAL stands as the rejoiner, the second as the survivor; directories before servers.\n"
            "Exits with 1 if both went on by themselves, with 4 if the fork is not known.\n\n"
            "Examples:\n  walstitch wal diff /backup/n1 /var/lib/kvrocks\n"
            "  walstitch wal diff /backup/n1 /var/lib/kvrocks --policy shop.yaml\n"
            "  walstitch wal diff /backup/n1 --server 10.0.0.2:6666 --from 1000\n",
            [this](const Console& console, const ControllerClient&) {
              auto sources = OpenSources(parsed_.sources, 2);
              if (!sources) return console.Complain(sources.error());
              return WalDiffCommand(console, (*sources)[0], (*sources)[1], parsed_.diff);
            });
    AddSources(diff, true);
    diff->add_option("--from", parsed_.diff.from, "Take everything before this sequence for common, unread")
        ->type_name("SEQUENCE");
    diff->add_option("--max-keys", parsed_.diff.max_keys, "How many keys to list of each side")
        ->capture_default_str();
    AddPolicyFiles(
        diff, &parsed_.diff.policy_paths,
        "Divergent keys by the keyspaces of this policy, a file or a directory, instead of by namespace");
    diff->add_flag("--cluster", parsed_.diff.cluster,
                   "The servers run in cluster mode: their keys carry a slot");
  }

  void AddCompletion() {
    auto* completion =
        Add(&app_, "completion", "Prints the completions of a shell, to be sourced or installed",
            "They are installed with the program; where that was done by hand:\n\n"
            "Examples:\n  source <(walstitch completion bash)\n"
            "  walstitch completion zsh > ~/.zfunc/_walstitch   # a directory of $fpath\n",
            nullptr);
    Add(completion, "bash", "Completions for bash",
        "They ask the controller for the names of groups and nodes.\n\n"
        "Examples:\n  source <(walstitch completion bash)\n",
        [this](const Console& console, const ControllerClient&) {
          console.out << BashCompletion(Describe(app_));
          return ExitCode::kDone;
        });
    Add(completion, "zsh", "Completions for zsh",
        "They ask the controller for the names of groups and nodes.\n\n"
        "Examples:\n  walstitch completion zsh > ~/.zfunc/_walstitch   # a directory of $fpath\n",
        [this](const Console& console, const ControllerClient&) {
          console.out << ZshCompletion(Describe(app_));
          return ExitCode::kDone;
        });
    auto* names = Add(&app_, "names", "For completions: the names of groups or nodes", "",
                      [this](const Console& console, const ControllerClient& controller) {
                        return NamesCommand(console, controller, parsed_.names, parsed_.group);
                      });
    names->group("");  // not shown
    names->add_option("what", parsed_.names, "groups or nodes")
        ->required()
        ->check(CLI::IsMember({"groups", "nodes"}));
    names->add_option("group", parsed_.group, "Only of this group");
  }

  [[nodiscard]] std::string Manual() const {
    ManualWords words;
    words.version = kVersion;
    words.summary = "runs the failovers of Apache Kvrocks groups";
    words.sections = {{"ENVIRONMENT", kEnvironment}};
    words.see_also = {"walstitch-controller(8)", "walstitch-agent(8)"};
    return ManualPage(Describe(app_), words);
  }

  [[nodiscard]] Result<std::uint64_t> SequenceAsked() const {
    if (parsed_.sequence) return *parsed_.sequence;
    const std::string& text = parsed_.bare_sequence;
    if (text.empty()) return Fail(ErrorCode::kInvalid, "which sequence? walstitch wal locate DIR SEQUENCE");
    std::uint64_t sequence = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), sequence);
    if (error != std::errc() || end != text.data() + text.size()) {
      return Fail(ErrorCode::kInvalid, "'" + text + "' is no sequence: a whole number is expected");
    }
    return sequence;
  }

  const Terminal& terminal_;
  CLI::App app_;
  Parsed parsed_;
  Run run_;
  CLI::Option* follow_limit_ = nullptr;
};

// "walstitch wal info": as far as what was typed names commands; and that command.
std::pair<std::string, CLI::App*> Typed(CLI::App* app) {
  std::string path = app->get_name();
  while (!app->get_subcommands().empty()) {
    app = app->get_subcommands().front();
    path += " " + app->get_name();
  }
  return {path, app};
}

std::string OneLine(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  for (char& c : text) {
    if (c == '\n') c = ' ';
  }
  return text;
}

}  // namespace

CommandWords DescribeCommandLine() {
  const Terminal terminal;
  return Describe(CommandLine(terminal).App());
}

ExitCode RunCommandLine(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& error,
                        const Fetcher& fetch, const Terminal& terminal) {
  CommandLine line(terminal);
  Console console{out, error, false, terminal.error ? &error : nullptr};
  try {
    // CLI11 takes them from the back.
    line.App().parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::Success& asked_for_help) {
    line.App().exit(asked_for_help, out, error);
    return ExitCode::kDone;
  } catch (const CLI::Error& wrong) {
    const auto [path, command] = Typed(&line.App());
    std::string sentence = OneLine(wrong.what());
    if (command->get_require_subcommand_min() > 0) {
      // CLI11 says that a command is missing, also where one was typed that there is not.
      const auto rest = line.App().remaining(true);
      std::vector<std::string> names;
      for (const CLI::App* each : command->get_subcommands([](CLI::App*) { return true; })) {
        if (!each->get_group().empty()) names.push_back(each->get_name());
      }
      sentence = (rest.empty() ? "a command is expected" : "'" + rest.front() + "' is no command") + ": " +
                 Join(names);
    }
    return console.Complain(ExitCode::kUsage, sentence + " (see " + path + " --help)");
  }
  console.json = line.Values().output == "json";
  console.palette =
      Palette(WantsColours(line.Values().color, terminal.out, std::getenv("NO_COLOR"), std::getenv("TERM")));
  if (auto complete = Complete(&line.Values()); !complete) return console.Complain(complete.error());
  WALSTITCH_CHECK(line.Chosen() != nullptr);
  return line.Chosen()(console, ControllerClient(line.Values().controller, fetch));
}

}  // namespace walstitch::cli
