#include "controller/api/without_keys.h"

#include <algorithm>

namespace walstitch::api {

namespace {

bool NamesKey(const boost::json::value& value) {
  const auto* object = value.if_object();
  if (object == nullptr) return false;
  if (object->contains("key")) return true;
  const auto* name = object->if_contains("name");
  return name != nullptr && name->is_object() && name->get_object().contains("key");
}

// Whether something was taken out of this very list.
bool TakeOutOf(boost::json::array* list) {
  const auto kept = std::remove_if(list->begin(), list->end(), NamesKey);
  const bool taken = kept != list->end();
  list->erase(kept, list->end());
  for (auto& element : *list) TakeOutKeys(&element);
  return taken;
}

}  // namespace

void TakeOutKeys(boost::json::value* value) {
  if (auto* list = value->if_array(); list != nullptr) {
    TakeOutOf(list);
    return;
  }
  auto* object = value->if_object();
  if (object == nullptr) return;
  bool taken = false;
  for (auto& [name, member] : *object) {
    if (auto* list = member.if_array(); list != nullptr) {
      taken = TakeOutOf(list) || taken;
    } else {
      TakeOutKeys(&member);
    }
  }
  if (auto* truncated = object->if_contains("truncated"); taken && truncated != nullptr) *truncated = true;
}

}  // namespace walstitch::api
