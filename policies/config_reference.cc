#include "policies/config_reference.h"

namespace walstitch {
namespace {

// The key with its sections: "lease" of "lease.duration", nothing of "stateDir".
std::string SectionOf(const std::string& path) {
  const auto dot = path.rfind('.');
  return dot == std::string::npos ? "" : path.substr(0, dot);
}

std::string Cell(std::string_view text) {
  std::string cell;
  for (char c : text) {
    if (c == '|') cell += '\\';
    cell += c;
  }
  return cell;
}

void AppendTable(const ConfigReference& reference, const std::string& section, std::string* out) {
  bool begun = false;
  for (const ConfigKey& key : reference) {
    const bool here = SectionOf(key.path) == section || (key.path == section && !key.IsSection());
    if (key.IsSection() || !here) continue;
    if (!begun) *out += "| Key | Takes | Without it | What it is |\n|---|---|---|---|\n";
    begun = true;
    const std::string absent = key.required         ? "refused"
                               : key.absent.empty() ? "none"
                                                    : "`" + Cell(key.absent) + "`";
    *out += "| `" + key.path + "` | " + Cell(key.type) + " | " + absent + " | " + Cell(key.words) + " |\n";
  }
  if (begun) *out += "\n";
}

}  // namespace

std::string ReferenceMarkdown(const ConfigReference& reference) {
  std::string out;
  AppendTable(reference, "", &out);
  for (const ConfigKey& key : reference) {
    if (!key.IsSection()) continue;
    out += "### `" + key.path + "`\n\n" + key.words + (key.required ? " Required." : "") + "\n\n";
    AppendTable(reference, key.path, &out);
  }
  return out;
}

}  // namespace walstitch
