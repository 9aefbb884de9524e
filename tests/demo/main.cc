// walstitch-demo: every verdict once, on real processes, and why. See --help.

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "controller/cli/text.h"
#include "policies/model/json.h"
#include "tests/demo/scene.h"
#include "tests/demo/summary.h"

namespace walstitch::demo {
namespace {

constexpr const char* kHelp =
    R"(walstitch-demo [--keep] [--output text|json]

Starts three nodes, their agents and a controller on loopback, and lets every verdict happen once, for a
reason that it tells: aligned, padded, full, and padded where the number fits by chance. Compares the nodes'
keyspaces and the servers' own counters with what the decision records say.

  --keep          leaves everything running and prints how to look around, until Ctrl-C
  --output json   prints the decision records, oldest first, and nothing else, on standard output
  -h, --help      this text

KVROCKS_BIN=/path/to/kvrocks runs it on a real Kvrocks instead of the small reference node.

Exit codes: 0 every verdict, key and counter was as told; 1 something was not; 2 wrong usage; 130 Ctrl-C.
)";

struct Arguments {
  bool keep = false;
  bool json = false;
  bool help = false;
  std::string error;  // one sentence
};

Arguments Parse(const std::vector<std::string>& words) {
  Arguments arguments;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    std::string output;
    if (word == "-h" || word == "--help") {
      arguments.help = true;
    } else if (word == "--keep") {
      arguments.keep = true;
    } else if (word == "--output" || word == "-o") {
      if (++i == words.size()) {
        arguments.error = word + " needs a word: text or json";
        return arguments;
      }
      output = words[i];
    } else if (word.rfind("--output=", 0) == 0) {
      output = word.substr(9);
    } else {
      arguments.error = "what is '" + cli::Clean(word) + "'? Known are --keep, --output text|json and --help";
      return arguments;
    }
    if (output == "json" || output == "text") {
      arguments.json = output == "json";
    } else if (word.rfind("-o", 0) == 0 || word.rfind("--output", 0) == 0) {
      arguments.error = "'" + cli::Clean(output) + "' is no output: text or json";
      return arguments;
    }
  }
  return arguments;
}

void Introduce(Stage& stage) {
  Narrator& narrator = stage.narrator();
  const bool real = test::NodeServer::IsRealKvrocks();
  narrator.Title("Walstitch: a failover without a full sync, four ways");
  narrator.Say(
      "Three nodes of " +
      std::string(
          real ? "a real Kvrocks (KVROCKS_BIN)"
               : "the reference node, a small Kvrocks on real RocksDB (KVROCKS_BIN=... for a real one)") +
      ", an agent beside each, one controller. Every node replicates through its agent only. The policy:");
  narrator.Show("\n" + std::string(Stage::kPolicy));
  narrator.Say(
      "A node that comes back after a failover may hold records that the others never saw (its tail), and "
      "lack "
      "records that they have by the same numbers (missed). Walstitch reads both WALs, finds where they part "
      "(the "
      "fork), and asks the policy about every key that tail and missed touch.");
}

void TellHowToLookAround(Stage& stage, std::FILE* out) {
  test::Cluster& cluster = stage.cluster();
  const std::string walstitch = test::BinaryPath("walstitch") +
                                " --controller http://127.0.0.1:" + std::to_string(cluster.ControllerPort());
  std::string text = "\nEverything is still running. In another terminal:\n\n";
  for (const char* command : {"status", "decisions list", "decisions show latest", "decisions verify",
                              "plan shop", "switchover shop --to n3"}) {
    text += "  " + walstitch + " " + command + "\n";
  }
  const std::string master = cluster.Master();
  text += "\nThe nodes (a master accepts writes), and how to start one again that you have killed:\n\n";
  for (const std::string& node : cluster.Nodes()) {
    test::NodeServer& server = cluster.Node(node);
    text += "  redis-cli -p " + std::to_string(server.port()) + "   # " + node +
            (node == master ? ", the master" : ", a replica") + ", process " +
            std::to_string(server.process().pid()) + "\n";
    text += "    " + server.CommandLine() + "\n";
  }
  text += "\nThe policy is read again when it changes: " + cluster.PolicyFile() +
          "\nConfigurations and logs: " + cluster.directory() +
          "\n\nCtrl-C ends everything, and removes it.\n";
  std::fputs(text.c_str(), out);
  std::fflush(out);
}

void PrintRecords(Stage& stage) {
  std::vector<DecisionRecord> records = stage.cluster().Decisions();
  std::reverse(records.begin(), records.end());
  boost::json::array list;
  for (const DecisionRecord& record : records) list.push_back(ToJson(record));
  std::cout << DumpPretty(boost::json::object{{"decisions", std::move(list)}}) << std::endl;
}

// Every other node that changed its master on the way did so by a partial sync.
void ExpectOneCopy(Stage& stage) {
  const std::vector<DecisionRecord> records = stage.cluster().Decisions();
  const auto copies = std::count_if(records.begin(), records.end(), [](const DecisionRecord& record) {
    return record.decision.verdict && record.decision.verdict->verdict == Verdict::kFull;
  });
  stage.checker().Expect(copies == 1, "one full sync was to be decided, not " + std::to_string(copies));
}

int Run(const Arguments& arguments) {
  const auto start = std::chrono::steady_clock::now();
  Narrator narrator(arguments.json);
  Checker checker;
  Stage stage(narrator, checker);
  try {
    Introduce(stage);
    stage.Open();
    std::vector<std::unique_ptr<Scene>> scenes;
    scenes.push_back(MakeAlignedScene());
    scenes.push_back(MakePaddedScene());
    scenes.push_back(MakeFullScene());
    scenes.push_back(MakeNumberFitsScene());
    std::vector<Rejoined> played;
    for (const auto& scene : scenes) {
      const std::string number = std::to_string(played.size() + 1);
      narrator.Title(number + ". " + scene->Title());
      checker.Enter("scene " + number);
      played.push_back(scene->Play(stage));
    }
    checker.Enter("");
    ExpectOneCopy(stage);
    narrator.Title("What it came to");
    narrator.Say(
        "Keys that differ afterwards; time and bytes from the decision to its outcome, and as a part of "
        "those of "
        "the full sync:");
    narrator.Show(Summarize(played));
  } catch (const Trouble& trouble) {
    ThrowIfInterrupted();
    checker.Expect(false, trouble.what());
    std::cerr << stage.cluster().Logs() << std::flush;
  }
  for (const std::string& mismatch : checker.mismatches())
    std::cerr << "demo: not as told: " << mismatch << "\n";
  if (checker.mismatches().empty()) {
    const auto took = std::chrono::steady_clock::now() - start;
    narrator.Say("Every verdict, every key and every counter was as told. The whole of it took " +
                 cli::FormatDuration(std::chrono::duration_cast<std::chrono::milliseconds>(took).count()) +
                 ".");
  }
  if (arguments.json) PrintRecords(stage);
  if (arguments.keep) {
    TellHowToLookAround(stage, arguments.json ? stderr : stdout);
    while (!WasInterrupted()) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return checker.mismatches().empty() ? 0 : 1;
}

int Main(const std::vector<std::string>& words) {
  const Arguments arguments = Parse(words);
  if (!arguments.error.empty()) {
    std::cerr << "walstitch-demo: " << arguments.error << "\n";
    return 2;
  }
  if (arguments.help) {
    std::cout << kHelp;
    return 0;
  }
  CatchInterrupts();
  try {
    return Run(arguments);
  } catch (const Interrupted&) {
    std::cerr << "\ndemo: interrupted; everything is ended and removed\n";
    return 130;
  } catch (const std::exception& error) {
    std::cerr << "demo: " << error.what() << "\n";
    return 1;
  }
}

}  // namespace
}  // namespace walstitch::demo

int main(int argc, char** argv) { return walstitch::demo::Main({argv + 1, argv + argc}); }
