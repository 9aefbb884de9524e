#include "agents/agent/state_file.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "tests/unit/agent/scratch_directory.h"

namespace walstitch::agent {
namespace {

TEST(StateFile, WhatWasWrittenLastIsRead) {
  tests::ScratchDirectory scratch;
  std::string directory = scratch.Path() + "/state";
  {
    auto file = StateFile::Open(directory, "agent.json");
    ASSERT_TRUE(file) << file.error().Message();
    EXPECT_EQ(file->Read().value(), std::nullopt);
    ASSERT_TRUE(file->Write("one, and rather long"));
    ASSERT_TRUE(file->Write("two"));
  }
  auto again = StateFile::Open(directory, "agent.json");
  ASSERT_TRUE(again);
  EXPECT_EQ(again->Read().value(), "two");
}

TEST(StateFile, HalfWrittenNewFileIsNotRead) {
  tests::ScratchDirectory scratch;
  auto file = StateFile::Open(scratch.Path(), "agent.json");
  ASSERT_TRUE(file->Write("good"));
  std::ofstream(scratch.Path() + "/agent.json.new") << "ha";
  EXPECT_EQ(file->Read().value(), "good");
  ASSERT_TRUE(file->Write("better"));
  EXPECT_EQ(file->Read().value(), "better");
}

TEST(StateFile, DirectoryIsForOneAgent) {
  tests::ScratchDirectory scratch;
  auto first = StateFile::Open(scratch.Path(), "agent.json");
  auto second = StateFile::Open(scratch.Path(), "agent.json");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().Code(), ErrorCode::kConflict);
}

TEST(StateFile, AnotherFileOfTheDirectoryIsItsOwn) {
  tests::ScratchDirectory scratch;
  auto first = StateFile::Open(scratch.Path(), "agent.json");
  ASSERT_TRUE(first);
  auto second = first->Beside("lease.json");
  ASSERT_TRUE(second) << second.error().Message();
  ASSERT_TRUE(first->Write("one"));
  ASSERT_TRUE(second->Write("two"));
  EXPECT_EQ(first->Read().value(), "one");
  EXPECT_EQ(second->Read().value(), "two");
  EXPECT_EQ(second->Path(), scratch.Path() + "/lease.json");
}

TEST(StateFile, DirectoryThatCannotBeMadeIsASentence) {
  auto file = StateFile::Open("/no/such/place", "agent.json");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().Message(), "stateDir /no/such/place: cannot be made: No such file or directory");
}

}  // namespace
}  // namespace walstitch::agent
