#include "policies/command_line/completion.h"

#include <algorithm>
#include <functional>

namespace walstitch {
namespace {

// What can be offered in an option's or argument's place, in the words that both scripts use.
struct Offer {
  enum class Kind { kNothing, kFile, kDirectory, kGroup, kNode, kWords };
  Kind kind = Kind::kNothing;
  std::string words;  // with blanks between
};

Offer OfferFor(const OptionWords& option) {
  if (!option.choices.empty()) {
    Offer offer{Offer::Kind::kWords, ""};
    for (const auto& choice : option.choices) offer.words += (offer.words.empty() ? "" : " ") + choice;
    return offer;
  }
  const bool argument = !option.names.front().starts_with('-');
  const std::string& word = argument && option.takes.empty() ? option.names.front() : option.takes;
  if (word == "FILE" || word == "file") return {Offer::Kind::kFile, ""};
  if (word == "DIR" || word == "A" || word == "B") return {Offer::Kind::kDirectory, ""};
  if (word == "GROUP" || word == "group") return {Offer::Kind::kGroup, ""};
  if (word == "NODE" || word == "node") return {Offer::Kind::kNode, ""};
  if (word == "id") return {Offer::Kind::kWords, "latest"};
  return {};
}

// Every command, those above before those below.
void Visit(const CommandWords& command, const std::function<void(const CommandWords&)>& visit) {
  visit(command);
  for (const auto& each : command.commands) Visit(each, visit);
}

// The program's own options stand behind every command, too; but not those about the program itself.
std::vector<const OptionWords*> OptionsOf(const CommandWords& program, const CommandWords& command) {
  std::vector<const OptionWords*> options;
  for (const auto& option : command.options) options.push_back(&option);
  if (&program == &command) return options;
  for (const auto& option : program.options) {
    const auto is = [&](const char* name) {
      return std::find(option.names.begin(), option.names.end(), name) != option.names.end();
    };
    if (!is("--help") && !is("--version") && !is("--manual")) options.push_back(&option);
  }
  return options;
}

// Where the controller is, and how it is spoken to: needed to ask it for names.
std::vector<std::string> NamesOfPlace(const CommandWords& program) {
  std::vector<std::string> names;
  for (const auto& option : program.options) {
    if (option.takes.empty() || !option.choices.empty() || option.takes == "DURATION") continue;
    names.insert(names.end(), option.names.begin(), option.names.end());
  }
  return names;
}

std::string Joined(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : std::string(separator)) + part;
  return text;
}

std::string Replaced(std::string text, const std::vector<std::pair<std::string, std::string>>& values) {
  for (const auto& [name, value] : values) {
    for (std::size_t at = 0; (at = text.find(name, at)) != std::string::npos; at += value.size()) {
      text.replace(at, name.size(), value);
    }
  }
  return text;
}

// --- bash ------------------------------------------------------------------------------------------

std::string BashWord(const Offer& offer) {
  switch (offer.kind) {
    case Offer::Kind::kNothing:
      return "other";
    case Offer::Kind::kFile:
      return "file";
    case Offer::Kind::kDirectory:
      return "directory";
    case Offer::Kind::kGroup:
      return "group";
    case Offer::Kind::kNode:
      return "node";
    case Offer::Kind::kWords:
      return "words:" + offer.words;
  }
  return "";
}

constexpr std::string_view kBash =
    R"SCRIPT(# Completions of @name@ for bash, written by: @name@ completion bash

# Sets `offer` to what stands behind an option of a command; empty: nothing does.
_@name@_behind() {
  case "$1 $2" in
@behind@    *) offer= ;;
  esac
}

# Sets `options`, `commands` and `arguments` to what may stand behind a command.
_@name@_of() {
  options= commands= arguments=()
  case $1 in
@commands@  esac
}

# Offers what the program answers. That comes from elsewhere: nothing of it is ever expanded, and a name that
# bash would read as more than a word is not put on the line.
_@name@_names() {
  local name
  local -a names
  mapfile -t names < <("$program" names "$@" 2>/dev/null)
  for name in "${names[@]}"; do
    [[ $name == "$value"* && $name != -* && $name != *[!A-Za-z0-9._-]* ]] && COMPREPLY+=("$name")
  done
}

_@name@() {
  local program=$1 line=${COMP_LINE:0:COMP_POINT} command=@name@ offer= option= at word current value prefix=
  local options commands count
  local -a words arguments given=() place=()
  # Not COMP_WORDS: bash cuts them at every colon and equals sign.
  read -ra words <<< "$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  current=${words[${#words[@]} - 1]}
  _@name@_of "$command"
  for (( at = 1; at < ${#words[@]} - 1; at++ )); do
    word=${words[at]}
    if [[ -n $offer ]]; then
      case $option in
        @place@) place+=("$option" "${word/#\~\//$HOME/}") ;;
      esac
      offer=
      continue
    fi
    case $word in
      @placed@) place+=("$word") ;;
      --*=*) ;;
      -*) option=$word; _@name@_behind "$command" "$word" ;;
      *)
        if [[ " $commands " == *" $word "* ]]; then
          command+=" $word"
          _@name@_of "$command"
        else
          given+=("$word")
        fi ;;
    esac
  done

  COMPREPLY=()
  value=$current
  if [[ -n $offer ]]; then
    :
  elif [[ $current == --*=* ]]; then
    _@name@_behind "$command" "${current%%=*}"
    value=${current#*=}
    [[ $COMP_WORDBREAKS == *=* ]] || prefix=${current%%=*}=
  elif [[ $current == -* ]]; then
    offer=words:$options
  elif [[ -n $commands ]]; then
    offer=words:$commands
  elif (( ${#arguments[@]} > 0 )); then
    count=$(( ${#arguments[@]} - 1 ))
    if (( ${#given[@]} <= count )); then
      offer=${arguments[${#given[@]}]%...}
    elif [[ ${arguments[count]} == *... ]]; then
      offer=${arguments[count]%...}
    fi
  fi
  case $offer in
    file) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$value") ;;
    directory) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$value") ;;
    group) _@name@_names groups --timeout 1s "${place[@]}" ;;
    node) _@name@_names nodes ${given[0]:+"${given[0]}"} --timeout 1s "${place[@]}" ;;
    # Ours, and written into this script: compgen expands them as bash does any word.
    words:*) mapfile -t COMPREPLY < <(compgen -W "${offer#words:}" -- "$value") ;;
  esac
  COMPREPLY=("${COMPREPLY[@]/#/$prefix}")
}

complete -F _@name@ @name@
)SCRIPT";

// --- zsh -------------------------------------------------------------------------------------------

// In single quotes.
std::string Quoted(const std::string& text) { return "'" + Replaced(text, {{"'", "'\\''"}}) + "'"; }
// In a specification of _arguments, or of _describe.
std::string Escaped(const std::string& text) {
  return Replaced(text, {{"\\", "\\\\"}, {"[", "\\["}, {"]", "\\]"}, {":", "\\:"}});
}

std::string ZshAction(const Offer& offer) {
  switch (offer.kind) {
    case Offer::Kind::kNothing:
      return " ";
    case Offer::Kind::kFile:
      return "_files";
    case Offer::Kind::kDirectory:
      return "_files -/";
    case Offer::Kind::kGroup:
      return "_@name@_names groups";
    case Offer::Kind::kNode:
      return "_@name@_names nodes";
    case Offer::Kind::kWords:
      return "(" + offer.words + ")";
  }
  return "";
}

std::string ZshOption(const OptionWords& option) {
  const bool takes = !option.takes.empty();
  std::string names;
  for (const auto& name : option.names) {
    const bool is_long = name.starts_with("--");
    names += (names.empty() ? "" : ",") + name + (!takes ? "" : is_long ? "=" : "+");
  }
  std::string rest = "[" + Escaped(option.description) + "]";
  if (takes) rest += ":" + Escaped(option.takes) + ":" + ZshAction(OfferFor(option));
  if (option.names.size() == 1) return Quoted((option.repeated ? "*" : "") + names + rest);
  const std::string exclusive = option.repeated ? "'*'" : "'(" + Joined(option.names, " ") + ")'";
  return exclusive + "{" + names + "}" + Quoted(rest);
}

std::string FunctionName(const CommandWords& command) { return "_" + Replaced(command.path, {{" ", "_"}}); }

std::string ZshFunction(const CommandWords& program, const CommandWords& command) {
  std::string out = FunctionName(command) + "() {\n";
  const bool above = !command.commands.empty();
  if (&program == &command) out += "  local -a _@name@_line=( \"${words[@]}\" )\n";
  out += "  local curcontext=\"$curcontext\" state\n  local -a line\n  local -A opt_args\n";
  out += above ? "  _arguments -C" : "  _arguments -s -S";
  for (const OptionWords* option : OptionsOf(program, command)) out += " \\\n    " + ZshOption(*option);
  std::size_t place = 0;
  for (const auto& argument : command.arguments) {
    ++place;
    const std::string number = argument.repeated ? "*" : std::to_string(place);
    const std::string colon = argument.required || argument.repeated ? ":" : "::";
    out += " \\\n    " +
           Quoted(number + colon + Escaped(argument.names.front()) + ":" + ZshAction(OfferFor(argument)));
  }
  if (above) {
    out += " \\\n    '1:command:->command' \\\n    '*::argument:->argument'\n  case $state in\n";
    out += "    (command)\n      local -a commands=(\n";
    for (const auto& each : command.commands) {
      out += "        " + Quoted(each.name + ":" + Escaped(each.description)) + "\n";
    }
    out +=
        "      )\n      _describe -t commands command commands ;;\n    (argument)\n      case $line[1] in\n";
    for (const auto& each : command.commands) {
      out += "        (" + each.name + ") " + FunctionName(each) + " ;;\n";
    }
    out += "      esac ;;\n  esac";
  }
  return out + "\n}\n\n";
}

constexpr std::string_view kZshBegin = R"SCRIPT(#compdef @name@
# Completions of @name@ for zsh, written by: @name@ completion zsh

# The controller's groups, or the nodes of the group that is named already.
_@name@_names() {
  # In front of it stands what is for compadd.
  local what=$argv[-1]
  argv[-1]=()
  local -a place names
  local at word
  for (( at = 2; at < $#_@name@_line; at++ )); do
    word=${(Q)_@name@_line[at]}
    case $word in
      (@place@) place+=( "$word" "${(Q)_@name@_line[at+1]/#\~\//$HOME/}" ) ;;
      (@placed@) place+=( "$word" ) ;;
    esac
  done
  local group=
  [[ $what == nodes ]] && group=${(Q)line[1]}
  names=( ${(f)"$(${(Q)_@name@_line[1]} names $what ${group:+$group} --timeout 1s $place 2>/dev/null)"} )
  # They come from elsewhere: what is more than a word is not put on the line, not even quoted.
  names=( ${${names:#-*}:#*[^A-Za-z0-9._-]*} )
  compadd "$@" -a names
}

)SCRIPT";

constexpr std::string_view kZshEnd = R"SCRIPT(if [[ $funcstack[1] == _@name@ ]]; then
  _@name@ "$@"
else
  compdef _@name@ @name@
fi
)SCRIPT";

// "--controller=*|--token-file=*"
std::string WithValue(const std::vector<std::string>& names) {
  std::vector<std::string> patterns;
  for (const auto& name : names) {
    if (name.starts_with("--")) patterns.push_back(name + "=*");
  }
  return Joined(patterns, "|");
}

}  // namespace

std::string BashCompletion(const CommandWords& program) {
  std::string behind;
  const auto add_options = [&](const std::vector<OptionWords>& options, const std::string& where) {
    for (const auto& option : options) {
      if (option.takes.empty()) continue;
      for (const auto& name : option.names) {
        behind += "    " + where + " " + name + "\") offer='" + BashWord(OfferFor(option)) + "' ;;\n";
      }
    }
  };
  std::string commands;
  Visit(program, [&](const CommandWords& command) {
    if (&command != &program) add_options(command.options, "\"" + command.path);
    std::string options;
    for (const OptionWords* option : OptionsOf(program, command)) {
      options += (options.empty() ? "" : " ") + Joined(option->names, " ");
    }
    std::string names;
    for (const auto& each : command.commands) names += (names.empty() ? "" : " ") + each.name;
    std::string arguments;
    for (const auto& argument : command.arguments) {
      arguments += (arguments.empty() ? "'" : " '") + BashWord(OfferFor(argument)) +
                   (argument.repeated ? "...'" : "'");
    }
    commands += "    '" + command.path + "')\n      options='" + options + "'\n      commands='" + names +
                "'\n      arguments=(" + arguments + ") ;;\n";
  });
  add_options(program.options, "*\"");
  const auto place = NamesOfPlace(program);
  return Replaced(std::string(kBash), {{"@behind@", behind},
                                       {"@commands@", commands},
                                       {"@placed@", WithValue(place)},
                                       {"@place@", Joined(place, "|")},
                                       {"@name@", program.name}});
}

std::string ZshCompletion(const CommandWords& program) {
  std::string functions;
  Visit(program, [&](const CommandWords& command) { functions += ZshFunction(program, command); });
  const auto place = NamesOfPlace(program);
  return Replaced(
      std::string(kZshBegin) + functions + std::string(kZshEnd),
      {{"@placed@", WithValue(place)}, {"@place@", Joined(place, "|")}, {"@name@", program.name}});
}

}  // namespace walstitch
