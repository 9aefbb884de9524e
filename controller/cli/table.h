// A table for people: a line of headings, then rows, columns two blanks apart. Pure text, no lines drawn: it
// survives mail, tickets and `awk`. Cells are cleaned of control characters.
// A column in which no row has anything is left out.
#pragma once

#include <string>
#include <vector>

#include "controller/cli/colour.h"

namespace walstitch::cli {

enum class Align { kLeft, kRight };  // numbers stand right

struct Column {
  std::string heading;
  Align align = Align::kLeft;
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // As many cells as columns; tones may be fewer: what is left out is plain.
  void AddRow(std::vector<std::string> cells, std::vector<Tone> tones = {});
  [[nodiscard]] bool Empty() const { return rows_.empty(); }
  // Every line indented, without trailing blanks, ended by a line feed. No rows: nothing at all.
  [[nodiscard]] std::string Render(std::size_t indent = 0, const Palette& palette = Palette()) const;

 private:
  std::vector<Column> columns_;
  struct Row {
    std::vector<std::string> cells;
    std::vector<Tone> tones;  // as many
  };
  std::vector<Row> rows_;
};

}  // namespace walstitch::cli
