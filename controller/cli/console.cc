#include "controller/cli/console.h"

#include <boost/json.hpp>

#include "controller/cli/text.h"
#include "policies/model/json.h"

namespace walstitch::cli {

void Console::Print(const std::string& text) const { out << palette.CleanPainted(text); }

void Console::PrintJson(const boost::json::value& value) const {
  std::string text = DumpPretty(value);
  if (text.empty() || text.back() != '\n') text += '\n';
  out << text;
}

ExitCode Console::Complain(ExitCode code, const std::string& sentence) const {
  error << "walstitch: " << Clean(sentence) << "\n";
  return code;
}

ExitCode Console::Complain(const Error& error_value) const {
  ExitCode code = ExitCode::kUsage;
  switch (error_value.Code()) {
    case ErrorCode::kInvalid:
    case ErrorCode::kNotFound:
    case ErrorCode::kIo:
      code = ExitCode::kUsage;
      break;
    case ErrorCode::kStale:
    case ErrorCode::kConflict:
    case ErrorCode::kDamaged:
      code = ExitCode::kNo;
      break;
    case ErrorCode::kUnavailable:
    case ErrorCode::kTimeout:
      code = ExitCode::kUnreachable;
      break;
  }
  return Complain(code, error_value.Message());
}

}  // namespace walstitch::cli
