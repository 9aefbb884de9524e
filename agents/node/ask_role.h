// One question to any server, over a connection that is made for it: is it a master or a replica, or does it
// live at all? Blocking, within the options' timeout; see kvrocks_client.h.
#pragma once

#include "agents/node/kvrocks_client.h"
#include "policies/model/report.h"
#include "policies/model/result.h"

namespace walstitch::node {

// Errors as KvrocksClient's; and kConflict: it loads its data, and is neither yet.
Result<Role> AskRole(const ClientOptions& options);

// Whether a server lives there: it is told PING in plain, without a password, and whatever comes back counts,
// be it a refusal or the connection's end. One that takes the connection and says nothing does not.
bool Lives(const ClientOptions& options);

}  // namespace walstitch::node
