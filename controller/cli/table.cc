#include "controller/cli/table.h"

#include <algorithm>

#include "controller/cli/text.h"
#include "policies/model/result.h"

namespace walstitch::cli {

void Table::AddRow(std::vector<std::string> cells) {
  WALSTITCH_CHECK(cells.size() == columns_.size());
  for (auto& cell : cells) cell = Clean(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::Render(std::size_t indent) const {
  if (rows_.empty()) return {};
  std::vector<std::size_t> widths(columns_.size(), 0);  // 0: left out
  for (std::size_t column = 0; column < columns_.size(); ++column) {
    for (const auto& row : rows_) widths[column] = std::max(widths[column], Width(row[column]));
    if (widths[column] > 0) widths[column] = std::max(widths[column], Width(columns_[column].heading));
  }
  std::string out;
  auto add_line = [&](auto cell_of) {
    std::string line(indent, ' ');
    bool first = true;
    for (std::size_t column = 0; column < columns_.size(); ++column) {
      if (widths[column] == 0) continue;
      if (!first) line += "  ";
      first = false;
      const std::string& cell = cell_of(column);
      const std::string blanks(widths[column] - Width(cell), ' ');
      line += columns_[column].align == Align::kRight ? blanks + cell : cell + blanks;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  };
  add_line([&](std::size_t column) -> const std::string& { return columns_[column].heading; });
  for (const auto& row : rows_)
    add_line([&](std::size_t column) -> const std::string& { return row[column]; });
  return out;
}

}  // namespace walstitch::cli
