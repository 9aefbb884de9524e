// Decisions as they are shown to whoever may only view: without the lists of keys that users have written.
// Pure.
#pragma once

#include <boost/json/value.hpp>

namespace walstitch::api {

// Takes out every element of a list that names a key: an object with a "key", or one whose "name" is such an
// object. What held such a list and says whether it is whole ("truncated") says that it is not. How many
// there were stays in the counts beside them; a sentence that names one key stays as it is.
void TakeOutKeys(boost::json::value* value);

}  // namespace walstitch::api
