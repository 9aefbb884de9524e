#include "agents/agent/leave.h"

#include <chrono>
#include <filesystem>
#include <fstream>

namespace walstitch::agent {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::minutes kVoidAfter{30};

}  // namespace

bool MayStop(const LeaveFacts& facts) {
  if (facts.down) return true;
  if (!facts.role_known) return false;
  return !facts.master || !facts.leased || facts.alone;
}

bool LeaveFiles::Look(const LeaveFacts& facts) {
  if (directory_.empty()) return false;
  const fs::path asked = fs::path(directory_) / "leave";
  const fs::path answer = fs::path(directory_) / "left";
  std::error_code problem;
  problem_.clear();
  if (!fs::exists(asked, problem)) {
    answered_ = false;
    fs::remove(answer, problem);  // an old answer is none to the next question
    return false;
  }
  // 1. The server was restarted, and its agent with it, so that nobody saw it down. 2. It has not asked.
  // Nobody waits for longer than a pod is given to end.
  const auto since = fs::file_time_type::clock::now() - fs::last_write_time(asked, problem);
  if (!problem && since > kVoidAfter) {
    fs::remove(asked, problem);
    fs::remove(answer, problem);
    answered_ = false;
    return false;
  }
  if (!MayStop(facts)) {
    fs::remove(answer, problem);
    answered_ = false;
    return true;
  }
  if (!answered_) {
    std::ofstream(answer).flush();
    answered_ = fs::exists(answer, problem);
    if (!answered_)
      problem_ = answer.string() + " cannot be made, so the server is stopped late; check the directory";
  }
  // Not before the process is gone: until then, whoever waits must find the answer.
  if (facts.down) {
    fs::remove(asked, problem);
    if (!problem) fs::remove(answer, problem);
    if (problem) problem_ = asked.string() + " cannot be removed: " + problem.message();
    return false;
  }
  return true;
}

}  // namespace walstitch::agent
