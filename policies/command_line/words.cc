#include "policies/command_line/words.h"

#include <CLI/CLI.hpp>
#include <algorithm>

namespace walstitch {
namespace {

constexpr std::size_t kWidth = 100;
constexpr std::size_t kIndent = 2;
constexpr std::size_t kMiddle = 30;  // where descriptions begin

std::vector<std::string> SplitAt(const std::string& text, char separator) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(separator, at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

// CLI11 puts what its checks say behind the type: "TEXT:{table,json}", "N:UINT in [1 - 1000]".
void ReadType(const std::string& type, OptionWords* words) {
  if (const auto at = type.find(":{"); at != std::string::npos && type.back() == '}') {
    words->choices = SplitAt(type.substr(at + 2, type.size() - at - 3), ',');
    for (const auto& choice : words->choices) words->takes += (words->takes.empty() ? "" : "|") + choice;
    return;
  }
  const auto at = type.find(" in [");
  if (at != std::string::npos && type.back() == ']') {
    const std::string takes = type.substr(0, std::min(type.find(':'), at));
    words->takes = takes == "UINT" || takes == "INT" ? "N" : takes;
    std::string range = type.substr(at + 5, type.size() - at - 6);
    if (const auto dash = range.find(" - "); dash != std::string::npos) range.replace(dash, 3, " to ");
    words->notes.push_back(range);
    return;
  }
  words->takes = type == "UINT" || type == "INT" ? "N" : type;
}

OptionWords DescribeOption(const CLI::Option& option) {
  OptionWords words;
  words.description = option.get_description();
  words.required = option.get_required();
  words.environment = option.get_envname();
  const bool flag = option.get_items_expected_max() == 0;
  if (!flag) ReadType(option.get_type_name(), &words);
  words.repeated = option.get_items_expected_max() > 1;
  if (option.nonpositional()) {
    for (const auto& name : option.get_snames()) words.names.push_back("-" + name);
    for (const auto& name : option.get_lnames()) words.names.push_back("--" + name);
    if (words.required) words.notes.emplace_back("required");
    if (words.repeated) words.notes.emplace_back("may be repeated");
  } else {
    words.names.push_back(option.get_single_name());
    // The name says it.
    if (words.takes == "TEXT" || words.takes == option.get_single_name()) words.takes.clear();
  }
  if (!option.get_default_str().empty()) words.notes.push_back("default: " + option.get_default_str());
  if (!words.environment.empty()) words.notes.push_back("or " + words.environment);
  for (const CLI::Option* other : option.get_excludes()) {
    words.notes.push_back("not with " + other->get_name());
  }
  return words;
}

CommandWords DescribeUnder(const CLI::App& app, const std::string& above) {
  CommandWords words;
  words.name = app.get_name();
  words.path = above.empty() ? words.name : above + " " + words.name;
  words.description = app.get_description();
  words.footer = app.get_footer();
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;
    (option->nonpositional() ? words.options : words.arguments).push_back(DescribeOption(*option));
  }
  for (const CLI::App* command : app.get_subcommands(std::function<bool(const CLI::App*)>())) {
    if (!command->get_group().empty()) words.commands.push_back(DescribeUnder(*command, words.path));
  }
  return words;
}

std::string Joined(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : std::string(separator)) + part;
  return text;
}

// "  left   words that go on below themselves"
void AddEntry(const std::string& left, const std::string& right, std::string* out) {
  std::string line(kIndent, ' ');
  line += left;
  if (line.size() + 2 > kMiddle && !right.empty()) {
    *out += line + "\n";
    line.clear();
  }
  line.resize(std::max(line.size(), kMiddle), ' ');
  bool first = true;
  for (const std::string& word : SplitAt(right, ' ')) {
    if (!first && line.size() + 1 + word.size() > kWidth) {
      *out += line + "\n";
      line.assign(kMiddle, ' ');
      first = true;
    }
    line += (first ? "" : " ") + word;
    first = false;
  }
  line.erase(line.find_last_not_of(' ') + 1);
  *out += line + "\n";
}

class OurHelp : public CLI::FormatterBase {
 public:
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode) const override {
    const auto end = name.rfind(' ');
    return HelpText(DescribeUnder(*app, end == std::string::npos ? "" : name.substr(0, end)));
  }
};

}  // namespace

CommandWords Describe(const CLI::App& app) { return DescribeUnder(app, ""); }

std::string UsageOf(const CommandWords& command) {
  std::string usage = command.path;
  if (!command.options.empty()) usage += " [OPTIONS]";
  for (const auto& argument : command.arguments) {
    const std::string word = argument.names.front() + (argument.repeated ? "..." : "");
    usage += argument.required ? " " + word : " [" + word + "]";
  }
  if (!command.commands.empty()) usage += " COMMAND";
  return usage;
}

std::string FullDescription(const OptionWords& option) {
  return option.description + (option.notes.empty() ? "" : " (" + Joined(option.notes, "; ") + ")");
}

std::string HelpText(const CommandWords& command) {
  std::string out = command.description + "\n\nUsage: " + UsageOf(command) + "\n";
  if (!command.arguments.empty()) out += "\nArguments:\n";
  for (const auto& argument : command.arguments) {
    AddEntry(argument.names.front(), FullDescription(argument), &out);
  }
  if (!command.options.empty()) out += "\nOptions:\n";
  for (const auto& option : command.options) {
    AddEntry(Joined(option.names, ", ") + (option.takes.empty() ? "" : " " + option.takes),
             FullDescription(option), &out);
  }
  if (!command.commands.empty()) out += "\nCommands:\n";
  for (const auto& each : command.commands) AddEntry(each.name, each.description, &out);
  if (!command.footer.empty()) out += "\n" + command.footer + "\n";
  return out;
}

std::shared_ptr<CLI::FormatterBase> HelpFormatter() { return std::make_shared<OurHelp>(); }

}  // namespace walstitch
