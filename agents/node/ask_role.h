// One question to any server, over a connection that is made for it: is it a master or a replica? Blocking,
// within the options' timeout; see kvrocks_client.h.
#pragma once

#include "agents/node/kvrocks_client.h"
#include "policies/model/report.h"
#include "policies/model/result.h"

namespace walstitch::node {

// Errors as KvrocksClient's; and kConflict: it loads its data, and is neither yet.
Result<Role> AskRole(const ClientOptions& options);

}  // namespace walstitch::node
