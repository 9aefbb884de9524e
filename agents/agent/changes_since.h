// Which of some keys the records behind a sequence touch; reads on from where it ended last. Blocking; not
// thread-safe.
#pragma once

#include <set>
#include <string>

#include "agents/wal/wal_source.h"
#include "policies/model/result.h"
#include "policies/model/sequence.h"
#include "policies/model/user_key.h"

namespace walstitch::agent {

class ChangesSince {
 public:
  // `source` outlives it.
  ChangesSince(wal::WalSource& source, Sequence fork, bool slot_encoded, std::set<UserKeyName> keys);

  Result<void> ReadOn();
  [[nodiscard]] bool Changed(const UserKeyName& key) const { return all_ || changed_.contains(key); }
  // Deleted, or given a value of a type without subkeys: whatever is in sight of it since then was written
  // since then.
  [[nodiscard]] bool Renewed(const UserKeyName& key) const { return renewed_.contains(key); }
  // The WAL holds what it was asked for. False: every key counts as changed, for nothing is known.
  [[nodiscard]] bool Readable() const { return readable_; }
  // Why every key counts as changed; empty: not every one does.
  [[nodiscard]] const std::string& WhyAll() const { return why_all_; }

 private:
  void All(std::string why);

  wal::WalSource& source_;
  Sequence next_;
  bool slot_encoded_;
  std::set<UserKeyName> keys_;
  std::set<UserKeyName> changed_;
  std::set<UserKeyName> renewed_;
  bool all_ = false;
  bool readable_ = true;
  std::string why_all_;
};

}  // namespace walstitch::agent
