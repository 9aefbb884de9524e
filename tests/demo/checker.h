// Collects what was not as told. The demo goes on after a mismatch, and fails at its end.
//
// Not thread-safe.
#pragma once

#include <string>
#include <vector>

namespace walstitch::demo {

class Checker {
 public:
  // Whether it holds; `otherwise` is one sentence for people.
  bool Expect(bool holds, const std::string& otherwise) {
    if (!holds) mismatches_.push_back(scene_.empty() ? otherwise : scene_ + ": " + otherwise);
    return holds;
  }

  // In front of the sentences from now on.
  void Enter(std::string scene) { scene_ = std::move(scene); }

  [[nodiscard]] const std::vector<std::string>& mismatches() const { return mismatches_; }

 private:
  std::string scene_;
  std::vector<std::string> mismatches_;
};

}  // namespace walstitch::demo
