// A scene: one verdict, made to happen for a reason that is told, and checked to be as told.
//
// A scene says what it is about, does it on the stage, and leaves the group in service, with equal data on
// every node: each begins where the one before it ended. Not thread-safe.
#pragma once

#include <memory>
#include <string>

#include "tests/demo/stage.h"

namespace walstitch::demo {

class Scene {
 public:
  virtual ~Scene() = default;
  [[nodiscard]] virtual std::string Title() const = 0;
  // Throws Trouble where it cannot go on; what merely differs from what was told is the checker's.
  virtual Rejoined Play(Stage& stage) = 0;
};

std::unique_ptr<Scene> MakeAlignedScene();
std::unique_ptr<Scene> MakePaddedScene();
std::unique_ptr<Scene> MakeFullScene();
std::unique_ptr<Scene> MakeNumberFitsScene();

}  // namespace walstitch::demo
