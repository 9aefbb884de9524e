// What may be typed at a program, read off its CLI11 definition: the one source of its help, its manual page
// and its completions. Value types; pure.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
class FormatterBase;
}  // namespace CLI

namespace walstitch {

// An option, or an argument without a name of its own.
struct OptionWords {
  std::vector<std::string> names;  // "-o", "--output"; of an argument: how the usage calls it
  std::string takes;               // "FILE", "table|json"; empty: a flag
  std::vector<std::string> choices;
  std::string description;
  std::vector<std::string> notes;  // "default: 10s", "or WALSTITCH_CONTROLLER", "required"
  bool required = false;
  bool repeated = false;
  std::string environment;  // the variable that says it, too; empty: none
};

struct CommandWords {
  std::string path;  // "walstitch wal info"
  std::string name;  // "info"
  std::string description;
  std::string footer;  // as help shows it: lines
  std::vector<OptionWords> arguments;
  std::vector<OptionWords> options;
  std::vector<CommandWords> commands;
};

// `app` as it stands, with its commands; what is hidden (an empty group) is left out.
CommandWords Describe(const CLI::App& app);

// "walstitch wal info [OPTIONS] [DIR]"
std::string UsageOf(const CommandWords& command);
// "The words. (default: 10s; or WALSTITCH_TIMEOUT)"
std::string FullDescription(const OptionWords& option);

// What --help prints, at most 100 columns wide where words allow it.
std::string HelpText(const CommandWords& command);

// For CLI::App::formatter, before commands are added: help as above.
std::shared_ptr<CLI::FormatterBase> HelpFormatter();

}  // namespace walstitch
