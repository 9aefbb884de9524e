// Decisions as they are shown to whoever may only view: without the keys that users have written. Pure.
#pragma once

#include <boost/json/value.hpp>

namespace walstitch::api {

// Takes out every element of a list that names a key: an object with a "key", or one whose "name" is such an
// object. What held such a list and says whether it is whole ("truncated") says that it is not. How many
// there were stays in the counts beside them. For a sentence that names one of the keys taken out, as a word
// of its own, stands another that says so. One decision at a time: what belongs to another has its own keys.
void TakeOutKeys(boost::json::value* value);

}  // namespace walstitch::api
