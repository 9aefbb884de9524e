// What `walstitch` tells the shell. Stable: scripts depend on it.
#pragma once

namespace walstitch::cli {

enum class ExitCode {
  kDone = 0,         // done, or the answer is "fine"
  kNo = 1,           // the answer is "no": refused, failed, damage found, histories differ, policy invalid
  kUsage = 2,        // wrong usage or bad input: options, files, unknown names
  kUnreachable = 3,  // the controller was not reached, did not answer a question in time, or not in our words
  kUnknown = 4,      // it may or may not have happened; or the verdict is hold
};

}  // namespace walstitch::cli
