// What the pages for operators must hold: the runbook an entry for whatever a person may have to see to, and
// every page links that lead somewhere.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "controller/core/finding.h"
#include "policies/model/reason_codes.h"
#include "tests/unit/docs/page_files.h"

namespace walstitch {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> LinesOf(const fs::path& path) {
  std::vector<std::string> lines;
  std::istringstream text(Slurp(path));
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

// The entries below "## By ..." headings of the runbook, by their own headings.
std::map<std::string, std::string> EntriesUnder(const std::string& heading) {
  std::map<std::string, std::string> entries;
  bool under = false;
  std::string* entry = nullptr;
  for (const std::string& line : LinesOf(kRoot / "docs/runbook.md")) {
    if (line.starts_with("## ")) under = line == "## " + heading;
    if (line.starts_with("#")) entry = nullptr;
    if (!under) continue;
    if (line.starts_with("#") && !line.starts_with("## ")) {
      entry = &entries[line.substr(line.find(' ') + 1)];
    } else if (entry != nullptr) {
      *entry += line + "\n";
    }
  }
  return entries;
}

void ExpectWhole(const std::string& name, const std::string& entry) {
  for (const char* part : {"**Means.**", "**Data at risk?**", "**Do.**", "**Over**"}) {
    const auto at = entry.find(part);
    EXPECT_NE(at, std::string::npos) << name << " lacks " << part;
    EXPECT_TRUE(at == std::string::npos || at == 0 || entry[at - 1] == '\n') << name << ": " << part;
  }
}

// "| `code` | meaning | verdict |" of policies/README.md: the cells of each reason, and the last words in
// front of its table.
struct ReasonRow {
  std::string introduction;
  std::string verdict;  // empty: the table has no such column
};
std::map<std::string, ReasonRow> ReasonRows() {
  std::map<std::string, ReasonRow> rows;
  std::string introduction;
  bool under = false;
  for (const std::string& line : LinesOf(kRoot / "policies/README.md")) {
    if (line.starts_with("## ")) under = line == "## Reason codes";
    if (!under) continue;
    if (!line.starts_with("|")) {
      if (!line.empty()) introduction = line;
      continue;
    }
    static const std::regex row(R"(\| `([a-z-]+)` \| (.*) \|)");
    std::smatch match;
    if (!std::regex_match(line, match, row)) continue;
    std::string rest = match[2];
    const auto cell = rest.rfind(" | ");
    rows[match[1]] = {introduction, cell == std::string::npos ? "" : rest.substr(cell + 3)};
  }
  return rows;
}

TEST(Runbook, HasAnEntryForEveryFinding) {
  std::set<std::string> known;
  for (int i = 0; i <= static_cast<int>(core::FindingCode::kDiskLow); ++i) {
    known.emplace(ToString(static_cast<core::FindingCode>(i)));
  }
  std::set<std::string> described;
  for (const auto& [name, entry] : EntriesUnder("By finding")) {
    described.insert(name);
    ExpectWhole(name, entry);
  }
  EXPECT_EQ(described, known);
}

TEST(Runbook, HasAnEntryForEveryReasonThatHoldsSomethingUp) {
  const auto rows = ReasonRows();
  ASSERT_EQ(rows.size(), std::size(reason::kAll)) << "the tables of policies/README.md were not understood";
  std::set<std::string> holding = {std::string(reason::kNotEligible), std::string(reason::kRefused)};
  for (const auto& [code, row] : rows) {
    const bool held = row.verdict.find("hold") != std::string::npos || row.verdict == "it waits";
    const bool no_failover = row.introduction.find("does *not* happen") != std::string::npos;
    if (held || no_failover) holding.insert(code);
  }
  std::set<std::string> described;
  for (const auto& [name, entry] : EntriesUnder("By reason")) {
    // "A node is held" is a heading of them.
    if (std::isupper(static_cast<unsigned char>(name.front()))) continue;
    described.insert(name);
    ExpectWhole(name, entry);
  }
  EXPECT_EQ(described, holding);
}

std::vector<fs::path> Pages() {
  std::vector<fs::path> pages = {kRoot / "README.md"};
  for (const char* folder : {"docs", "policies", "agents", "controller", "helm"}) {
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
      if (entry.path().extension() == ".md") pages.push_back(entry.path());
    }
  }
  return pages;
}

// As GitHub makes them of headings.
std::set<std::string> AnchorsOf(const fs::path& page) {
  std::set<std::string> anchors;
  std::map<std::string, int> seen;
  bool code = false;
  for (const std::string& line : LinesOf(page)) {
    if (line.starts_with("```")) code = !code;
    if (code || !line.starts_with("#")) continue;
    std::string anchor;
    for (const char c : line.substr(line.find(' ') + 1)) {
      const auto byte = static_cast<unsigned char>(c);
      if (std::isalnum(byte) || byte >= 0x80 || c == '-' || c == '_') {
        anchor += static_cast<char>(std::tolower(byte));
      } else if (c == ' ') {
        anchor += '-';
      }
    }
    const int count = seen[anchor]++;
    anchors.insert(count == 0 ? anchor : anchor + "-" + std::to_string(count));
  }
  return anchors;
}

TEST(Pages, LinksLeadSomewhere) {
  static const std::regex link(R"(\]\(([^)\s]+)\))");
  std::size_t links = 0;
  for (const fs::path& page : Pages()) {
    const std::string text = Slurp(page);
    for (std::sregex_iterator at(text.begin(), text.end(), link), end; at != end; ++at) {
      const std::string target = (*at)[1];
      if (target.starts_with("https://") || target.starts_with("http://")) continue;
      ++links;
      const auto mark = target.find('#');
      const fs::path file = mark == 0 ? page : page.parent_path() / target.substr(0, mark);
      ASSERT_TRUE(fs::exists(file)) << page << " links to " << target;
      if (mark == std::string::npos) continue;
      EXPECT_TRUE(AnchorsOf(file).contains(target.substr(mark + 1))) << page << " links to " << target;
    }
  }
  EXPECT_GT(links, 50U);
}

TEST(Pages, TheIndexNamesEveryPage) {
  const std::string index = Slurp(kRoot / "docs/README.md");
  for (const auto& entry : fs::directory_iterator(kRoot / "docs")) {
    const std::string name = entry.path().filename().string();
    if (name == "README.md") continue;
    EXPECT_NE(index.find("](" + name + ")"), std::string::npos) << "docs/README.md does not name " << name;
  }
}

}  // namespace
}  // namespace walstitch
