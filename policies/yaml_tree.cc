#include "policies/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <set>
#include <sstream>
#include <utility>

#include "policies/model/bytes.h"

namespace walstitch {
namespace {

YamlMark ToMark(const YAML::Mark& mark) {
  if (mark.is_null()) return {};
  return {static_cast<std::size_t>(mark.line) + 1, static_cast<std::size_t>(mark.column) + 1};
}

// Thrown through yaml-cpp, whose parser calls us; never leaves this file.
struct Refused {
  YamlMark mark;
  std::string what;
};

// Builds the tree from the parser's events.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(std::string_view content) : content_(content), lines_{0} {
    for (std::size_t i = 0; i < content.size(); ++i) {
      if (content[i] == '\n') lines_.push_back(i + 1);
    }
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) Refuse(mark, "a second document begins here; expected one in a file");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    CheckPlain(mark, "", anchor);
    YamlNode node;
    node.mark = ToMark(mark);
    // yaml-cpp finds nothing only where the next thing stands; the key is what a reader looks for.
    if (!open_.empty() && open_.back().has_key) node.mark = open_.back().node->entries.back().key.mark;
    Add(std::move(node), false);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Refuse(mark, "an alias (*name); expected the value itself, written out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    CheckPlain(mark, tag, anchor);
    if (!QuoteIsClosed(ToMark(mark)))
      Refuse(mark, "a quote that is never closed; expected it at the text's end");
    YamlNode node;
    node.kind = YamlNode::Kind::kScalar;
    node.mark = ToMark(mark);
    node.scalar = value;
    Add(std::move(node), false);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(YamlNode::Kind::kSequence, mark, tag, anchor);
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(YamlNode::Kind::kMapping, mark, tag, anchor);
  }
  void OnMapEnd() override { open_.pop_back(); }
  void OnAnchor(const YAML::Mark& mark, const std::string&) override { RefuseAnchor(mark); }

  YamlNode Take() { return std::move(root_); }

 private:
  [[noreturn]] static void Refuse(const YAML::Mark& mark, std::string what) {
    throw Refused{ToMark(mark), std::move(what)};
  }
  [[noreturn]] static void RefuseAnchor(const YAML::Mark& mark) {
    Refuse(mark, "an anchor (&name); expected the value without it");
  }

  static void CheckPlain(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) RefuseAnchor(mark);
    // "?" is a plain scalar or collection, "!" a quoted scalar.
    if (!tag.empty() && tag != "?" && tag != "!") {
      Refuse(mark, "a tag (" + ToPrintable(tag.substr(0, 64)) + "); expected the value without it");
    }
  }

  // yaml-cpp takes the end of the file for the closing quote: a file cut short would pass.
  [[nodiscard]] bool QuoteIsClosed(YamlMark mark) const {
    std::size_t at = mark.line <= lines_.size() ? lines_[mark.line - 1] + mark.column - 1 : content_.size();
    if (at >= content_.size() || (content_[at] != '"' && content_[at] != '\'')) return true;
    const char quote = content_[at];
    for (++at; at < content_.size(); ++at) {
      if (quote == '"' && content_[at] == '\\') {
        ++at;
      } else if (content_[at] == quote) {
        // Two single quotes in a row are one in the text.
        if (quote == '"' || at + 1 >= content_.size() || content_[at + 1] != quote) return true;
        ++at;
      }
    }
    return false;
  }

  void Open(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    CheckPlain(mark, tag, anchor);
    if (open_.size() >= kMaxYamlDepth) {
      Refuse(mark, "nested deeper than " + std::to_string(kMaxYamlDepth) + " levels");
    }
    YamlNode node;
    node.kind = kind;
    node.mark = ToMark(mark);
    YamlNode* added = Add(std::move(node), true);
    open_.push_back({added, false, {}});
  }

  // Puts the node where it belongs. The address that it returns holds while the node is the newest of
  // its parent, that is, until it is closed.
  YamlNode* Add(YamlNode node, bool collection) {
    if (open_.empty()) {
      root_ = std::move(node);
      return &root_;
    }
    Level& level = open_.back();
    if (level.node->kind == YamlNode::Kind::kSequence) {
      return &level.node->elements.emplace_back(std::move(node));
    }
    if (level.has_key) {
      level.has_key = false;
      return &(level.node->entries.back().value = std::move(node));
    }
    if (collection || node.kind != YamlNode::Kind::kScalar) {
      throw Refused{node.mark, "a key that is no text; expected a name before the colon"};
    }
    if (!level.keys.insert(node.scalar).second) {
      throw Refused{node.mark, "\"" + ToPrintable(node.scalar.substr(0, 64)) +
                                   "\" is given twice; expected each key once in a mapping"};
    }
    level.has_key = true;
    return &level.node->entries.emplace_back(YamlEntry{std::move(node), YamlNode()}).key;
  }

  struct Level {
    YamlNode* node;
    bool has_key;                // a mapping whose newest key still waits for its value
    std::set<std::string> keys;  // of a mapping
  };

  std::string_view content_;
  std::vector<std::size_t> lines_;  // where each line begins
  YamlNode root_;
  std::vector<Level> open_;
  int documents_ = 0;
};

// yaml-cpp takes 0x04 for the end of the file and guesses UTF-16 from NULs, so that a stray byte could
// silently hide half of a policy: only text gets to it.
Result<void> CheckText(std::string_view path, std::string_view content) {
  YamlMark mark;
  for (std::size_t i = 0; i < content.size(); ++i) {
    auto byte = static_cast<unsigned char>(content[i]);
    if ((byte < 0x20 && byte != '\n' && byte != '\r' && byte != '\t') || byte == 0x7f || byte >= 0xfe) {
      return Fail(
          YamlError(path, mark, "the byte 0x" + ToHex(content.substr(i, 1)) + "; expected UTF-8 text"));
    }
    if (byte == '\n') {
      ++mark.line;
      mark.column = 1;
    } else {
      ++mark.column;
    }
  }
  return {};
}

}  // namespace

YamlNode::YamlNode() = default;
YamlNode::~YamlNode() = default;
YamlNode::YamlNode(const YamlNode&) = default;
YamlNode::YamlNode(YamlNode&&) noexcept = default;
YamlNode& YamlNode::operator=(const YamlNode&) = default;
YamlNode& YamlNode::operator=(YamlNode&&) noexcept = default;

Error YamlError(std::string_view path, YamlMark mark, std::string_view what) {
  return {ErrorCode::kInvalid, std::string(path) + ":" + std::to_string(mark.line) + ":" +
                                   std::to_string(mark.column) + ": " + std::string(what)};
}

Result<YamlNode> ParseYaml(std::string_view path, std::string_view content) {
  if (content.size() > kMaxYamlBytes) {
    return Fail(YamlError(
        path, {}, "the file has more than " + HumanBytes(kMaxYamlBytes) + "; expected a smaller one"));
  }
  // A byte order mark is no text, and would shift the first line's columns.
  if (content.starts_with("\xef\xbb\xbf")) content.remove_prefix(3);
  if (auto checked = CheckText(path, content); !checked) return Fail(checked.error());

  std::istringstream stream{std::string(content)};
  TreeBuilder builder(content);
  bool any = false;
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) any = true;
  } catch (const Refused& refused) {
    return Fail(YamlError(path, refused.mark, refused.what));
  } catch (const YAML::Exception& error) {
    return Fail(YamlError(path, ToMark(error.mark), "not valid YAML: " + error.msg));
  } catch (const std::exception& error) {
    return Fail(YamlError(path, {}, std::string("not valid YAML: ") + error.what()));
  }
  if (!any) return Fail(YamlError(path, {}, "the file is empty; expected settings (key: value)"));
  return builder.Take();
}

}  // namespace walstitch
