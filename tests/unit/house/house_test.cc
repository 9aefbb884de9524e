// Keeps the house tidy: what may include what, and what the pure rooms may not name.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <regex>
#include <string>
#include <vector>

namespace walstitch {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = WALSTITCH_SOURCE_DIR;

void ForEachLine(const std::vector<std::string>& folders,
                 const std::function<void(const std::string& where, const std::string& line)>& visit) {
  std::size_t files = 0;
  for (const auto& folder : folders) {
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
      const auto extension = entry.path().extension();
      if (!entry.is_regular_file() || (extension != ".cc" && extension != ".h")) continue;
      ++files;
      std::ifstream file(entry.path());
      std::string line;
      for (int number = 1; std::getline(file, line); ++number) {
        visit(fs::relative(entry.path(), kRoot).string() + ":" + std::to_string(number), line);
      }
    }
  }
  ASSERT_GT(files, 0U) << "nothing to look at";
}

TEST(HouseTest, IncludesGoOneWay) {
  const std::map<std::string, std::string> forbidden = {
      {"policies", "agents|controller|tests"}, {"agents", "controller|tests"}, {"controller", "tests"}};
  for (const auto& [folder, others] : forbidden) {
    const std::regex bad("#include \"(" + others + ")/.*");
    ForEachLine({folder}, [&](const std::string& where, const std::string& line) {
      EXPECT_FALSE(std::regex_search(line, bad)) << where << ": " << line;
    });
  }
}

// The reference node checks the agents' reading of Kvrocks' formats: it would check nothing if it read
// them with the same code.
TEST(HouseTest, TheReferenceNodeSharesNoCodeWithTheProduct) {
  const std::regex bad("#include \"(policies|agents|controller)/.*");
  ForEachLine({"tests/refnode"}, [&](const std::string& where, const std::string& line) {
    EXPECT_FALSE(std::regex_search(line, bad)) << where << ": " << line;
  });
}

// Rules are functions of data: time, randomness, files and sockets come in as arguments or not at all.
TEST(HouseTest, PureRoomsNameNoClockNoFileNoSocket) {
  const std::regex bad(
      "_clock::now|random_device|mt19937|spdlog|<fstream>|<iostream>|<filesystem>|<thread>|<mutex>|<atomic>|"
      "sys/socket|boost/asio|boost/beast|hiredis|rocksdb/|getenv|\\btime\\(nullptr\\)");
  ForEachLine({"controller/core", "policies/model"}, [&](const std::string& where, const std::string& line) {
    EXPECT_FALSE(std::regex_search(line, bad)) << where << ": " << line;
  });
}

TEST(HouseTest, BeastStaysInTheRoomForHttp) {
  const std::regex bad("#include <boost/beast");
  ForEachLine({"policies", "agents", "controller"}, [&](const std::string& where, const std::string& line) {
    if (where.starts_with("agents/http/")) return;
    EXPECT_FALSE(std::regex_search(line, bad)) << where << ": " << line;
  });
}

TEST(HouseTest, EveryHeaderSaysWhatItIs) {
  for (const std::string folder : {"policies", "agents", "controller"}) {
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
      if (entry.path().extension() != ".h") continue;
      std::ifstream file(entry.path());
      std::string line;
      std::getline(file, line);
      EXPECT_TRUE(line.starts_with("//")) << entry.path() << " begins without a word on what it is for";
    }
  }
}

}  // namespace
}  // namespace walstitch
