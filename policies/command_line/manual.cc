#include "policies/command_line/manual.h"

#include <algorithm>

namespace walstitch {
namespace {

// As it stands: troff sees no request and no escape in it, and hyphens stay what they are.
std::string Plain(std::string_view text) {
  std::string out;
  bool line_begins = true;
  for (const char c : text) {
    if (line_begins && (c == '.' || c == '\'')) out += "\\&";
    line_begins = c == '\n';
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  return out;
}

std::string Bold(std::string_view text) { return "\\fB" + Plain(text) + "\\fR"; }
std::string Italic(std::string_view text) { return "\\fI" + Plain(text) + "\\fR"; }

std::string Usage(const CommandWords& command) {
  const std::string usage = UsageOf(command);
  return Bold(command.path) + Plain(usage.substr(command.path.size())) + "\n";
}

void AddOptions(const std::vector<OptionWords>& options, std::string* out) {
  for (const auto& option : options) {
    *out += ".TP\n";
    std::string names;
    for (const auto& name : option.names) names += (names.empty() ? "" : ", ") + Bold(name);
    *out += names + (option.takes.empty() ? "" : " " + Italic(option.takes)) + "\n";
    *out += Plain(FullDescription(option)) + "\n";
  }
}

// Help's lines, as they stand.
void AddLines(const std::string& text, std::string* out) {
  if (text.empty()) return;
  *out += ".PP\n.nf\n";
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    // An empty line in it is a space, and a paragraph's end to troff.
    *out += end == at ? ".sp\n" : Plain(text.substr(at, end - at)) + "\n";
    at = end + 1;
  }
  *out += ".fi\n";
}

void AddParagraphs(const std::string& text, std::string* out) {
  bool begins = true;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    if (end == at) {
      begins = true;
    } else {
      if (begins) *out += ".PP\n";
      begins = false;
      *out += Plain(text.substr(at, end - at)) + "\n";
    }
    at = end + 1;
  }
}

void AddCommand(const CommandWords& command, const std::string& program, std::string* out) {
  *out += ".SS " + Plain(command.path.substr(program.size() + 1)) + "\n" + Usage(command);
  *out += ".PP\n" + Plain(command.description) + ".\n";
  AddOptions(command.arguments, out);
  std::vector<OptionWords> own;
  for (const auto& option : command.options) {
    const auto& names = option.names;
    if (std::find(names.begin(), names.end(), "--help") == names.end()) own.push_back(option);
  }
  AddOptions(own, out);
  // The last line of each points at the program's own help.
  std::string footer = command.footer;
  const auto last = footer.rfind("Options for all commands");
  if (last != std::string::npos) footer.erase(last);
  while (!footer.empty() && footer.back() == '\n') footer.pop_back();
  AddLines(footer, out);
  for (const auto& each : command.commands) AddCommand(each, program, out);
}

}  // namespace

std::string ManualPage(const CommandWords& program, const ManualWords& words) {
  std::string title = program.name;
  std::transform(title.begin(), title.end(), title.begin(), [](unsigned char c) { return std::toupper(c); });
  std::string out = ".TH " + Plain(title) + " " + std::to_string(words.section) + " \"\" \"" +
                    Plain(words.version) + "\"\n.nh\n";  // no word is divided
  out += ".SH NAME\n" + Plain(program.name) + " \\- " + Plain(words.summary) + "\n";
  out += ".SH SYNOPSIS\n" + Usage(program);
  out += ".SH DESCRIPTION\n" + Plain(program.description) + "\n";
  out += ".SH OPTIONS\n";
  AddOptions(program.options, &out);
  if (!program.commands.empty()) out += ".SH COMMANDS\n";
  for (const auto& command : program.commands) AddCommand(command, program.path, &out);
  for (const auto& [heading, text] : words.sections) {
    out += ".SH " + Plain(heading) + "\n";
    AddParagraphs(text, &out);
  }
  if (!program.footer.empty()) {
    out += ".SH NOTES\n";
    AddLines(program.footer, &out);
  }
  if (!words.see_also.empty()) {
    out += ".SH SEE ALSO\n";
    std::string list;
    for (const auto& page : words.see_also) {
      const auto bracket = page.find('(');
      list += (list.empty() ? "" : ", ") + Bold(page.substr(0, bracket)) + Plain(page.substr(bracket));
    }
    out += list + "\n";
  }
  return out;
}

}  // namespace walstitch
