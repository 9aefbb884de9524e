#include "controller/cli/table.h"

#include <algorithm>

#include "controller/cli/text.h"
#include "policies/model/result.h"

namespace walstitch::cli {

void Table::AddRow(std::vector<std::string> cells, std::vector<Tone> tones) {
  WALSTITCH_CHECK(cells.size() == columns_.size() && tones.size() <= cells.size());
  for (auto& cell : cells) cell = Clean(cell);
  tones.resize(cells.size(), Tone::kPlain);
  rows_.push_back({std::move(cells), std::move(tones)});
}

std::string Table::Render(std::size_t indent, const Palette& palette) const {
  if (rows_.empty()) return {};
  std::vector<std::size_t> widths(columns_.size(), 0);  // 0: left out
  for (std::size_t column = 0; column < columns_.size(); ++column) {
    for (const auto& row : rows_) widths[column] = std::max(widths[column], Width(row.cells[column]));
    if (widths[column] > 0) widths[column] = std::max(widths[column], Width(columns_[column].heading));
  }
  std::string out;
  auto add_line = [&](auto cell_of, auto tone_of) {
    std::string line(indent, ' ');
    bool first = true;
    for (std::size_t column = 0; column < columns_.size(); ++column) {
      if (widths[column] == 0) continue;
      if (!first) line += "  ";
      first = false;
      const std::string& cell = cell_of(column);
      const std::string blanks(widths[column] - Width(cell), ' ');
      const std::string painted = palette.Paint(tone_of(column), cell);
      line += columns_[column].align == Align::kRight ? blanks + painted : painted + blanks;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  };
  add_line([&](std::size_t column) -> const std::string& { return columns_[column].heading; },
           [](std::size_t) { return Tone::kFaint; });
  for (const auto& row : rows_) {
    add_line([&](std::size_t column) -> const std::string& { return row.cells[column]; },
             [&](std::size_t column) { return row.tones[column]; });
  }
  return out;
}

}  // namespace walstitch::cli
