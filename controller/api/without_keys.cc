#include "controller/api/without_keys.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <string>
#include <string_view>

namespace walstitch::api {

namespace {

// Against more of them no text is held: it is taken for one that names some.
constexpr std::size_t kMostLookedFor = 2000;
constexpr std::string_view kInstead = "(this names a key: a token that may operate sees it)";

bool IsWordCharacter(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// Whether it stands in the text with no letter or digit next to it: a key "a" is not in every sentence.
bool Names(std::string_view text, std::string_view key) {
  if (key.empty()) return false;
  for (std::size_t at = text.find(key); at != std::string_view::npos; at = text.find(key, at + 1)) {
    const std::size_t end = at + key.size();
    const bool begins = at == 0 || !IsWordCharacter(text[at - 1]) || !IsWordCharacter(key.front());
    const bool ends = end == text.size() || !IsWordCharacter(text[end]) || !IsWordCharacter(key.back());
    if (begins && ends) return true;
  }
  return false;
}

class TakerOut {
 public:
  void Lists(boost::json::value* value) {
    if (auto* list = value->if_array(); list != nullptr) {
      List(list);
      return;
    }
    auto* object = value->if_object();
    if (object == nullptr) return;
    bool taken = false;
    for (auto& [name, member] : *object) {
      if (auto* list = member.if_array(); list != nullptr) {
        taken = List(list) || taken;
      } else {
        Lists(&member);
      }
    }
    if (auto* truncated = object->if_contains("truncated"); taken && truncated != nullptr) *truncated = true;
  }

  void Texts(boost::json::value* value) const {
    if (auto* list = value->if_array(); list != nullptr) {
      for (auto& element : *list) Texts(&element);
    } else if (auto* object = value->if_object(); object != nullptr) {
      for (auto& [name, member] : *object) Texts(&member);
    } else if (auto* text = value->if_string(); text != nullptr) {
      const std::string_view view(text->data(), text->size());
      if (NamesOne(view)) *text = kInstead;
    }
  }

 private:
  // Codes, names of nodes and the like are no sentences, even if there is a key of the same name.
  [[nodiscard]] bool NamesOne(std::string_view text) const {
    if (keys_.empty() || text.find(' ') == std::string_view::npos) return false;
    return keys_.size() > kMostLookedFor ||
           std::any_of(keys_.begin(), keys_.end(), [&](const std::string& key) { return Names(text, key); });
  }

  // Whether something was taken out of this very list.
  bool List(boost::json::array* list) {
    const auto kept =
        std::remove_if(list->begin(), list->end(), [&](const auto& element) { return NotesKey(element); });
    const bool taken = kept != list->end();
    list->erase(kept, list->end());
    for (auto& element : *list) Lists(&element);
    return taken;
  }

  bool NotesKey(const boost::json::value& value) {
    const auto* object = value.if_object();
    if (object == nullptr) return false;
    if (const auto* name = object->if_contains("name"); name != nullptr && name->is_object())
      object = &name->get_object();
    const auto* key = object->if_contains("key");
    if (key == nullptr) return false;
    if (key->is_string()) keys_.emplace(key->get_string());
    return true;
  }

  std::set<std::string> keys_;
};

}  // namespace

void TakeOutKeys(boost::json::value* value) {
  TakerOut taker;
  taker.Lists(value);
  taker.Texts(value);
}

}  // namespace walstitch::api
