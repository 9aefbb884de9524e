// Where a command says things, and how a failure becomes one sentence and an exit code.
#pragma once

#include <boost/json/fwd.hpp>
#include <ostream>
#include <string>

#include "controller/cli/colour.h"
#include "controller/cli/exit_code.h"
#include "policies/model/result.h"

namespace walstitch::cli {

struct Console {
  std::ostream& out;                 // answers
  std::ostream& error;               // one sentence: "walstitch: ..."
  bool json = false;                 // --output json
  std::ostream* progress = nullptr;  // stderr, if a person looks at it (progress.h)
  Palette palette{};                 // of answers

  // Text for people, cleaned of control characters but for line feeds and our own colours.
  void Print(const std::string& text) const;
  void PrintJson(const boost::json::value& value) const;
  // The sentence on stderr; gives back the code.
  ExitCode Complain(ExitCode code, const std::string& sentence) const;
  // The same with the code that fits an error of our own reading: kUsage for bad input, kNo for damage.
  ExitCode Complain(const Error& error_value) const;
};

}  // namespace walstitch::cli
