#include "agents/node/ask_role.h"

#include "agents/node/info.h"

namespace walstitch::node {

Result<Role> AskRole(const ClientOptions& options) {
  KvrocksClient client(options);
  auto info = client.Info();
  if (!info) return Fail(info.error());
  const NodeFacts facts = ReadFacts(*info);
  if (facts.loading.value_or(false)) return Fail(ErrorCode::kConflict, "it is loading its data");
  return facts.role;
}

}  // namespace walstitch::node
