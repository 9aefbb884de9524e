// How a server that is about to be stopped says so, and hears when it may be: two files in a directory that
// it shares with its agent. Who stops it makes `leave`, and waits for `left`; in Kubernetes that is the
// preStop hook of the server's container, which has no tool to speak HTTP with and no business with a token.
//
// The agent reports that the node leaves, the controller has another one take over, and when the node is no
// master any more the agent makes `left`. When the server is gone, both are removed: the next one has not
// asked.
//
// The rule is pure; LeaveFiles does the rest, on one thread. Its calls are a stat each.
#pragma once

#include <string>

namespace walstitch::agent {

struct LeaveFacts {
  bool down = false;        // the process is gone
  bool role_known = false;  // of the last look
  bool master = false;
  bool leased = false;  // it is led by a controller
  bool alone = false;   // nobody else is in its group
};

// Nothing is gained by waiting any longer.
bool MayStop(const LeaveFacts& facts);

class LeaveFiles {
 public:
  // Empty: nobody ever asks.
  explicit LeaveFiles(std::string directory) : directory_(std::move(directory)) {}

  // Looks whether it was asked, and answers. True: the node leaves.
  bool Look(const LeaveFacts& facts);
  // What could not be done, one sentence; empty: all well.
  [[nodiscard]] const std::string& Problem() const { return problem_; }

 private:
  std::string directory_;
  bool answered_ = false;
  std::string problem_;
};

}  // namespace walstitch::agent
