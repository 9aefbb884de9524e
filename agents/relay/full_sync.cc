#include "agents/relay/full_sync.h"

namespace walstitch::relay {

FullSyncDialogue::Answer FullSyncDialogue::OnPsync(Sequence next, bool during_fetch) {
  if (synced_at_ == next) return Answer::kFollow;  // a connection that broke meanwhile
  if (fetched_ && (during_fetch || (refused_at_ && *refused_at_ != next))) {
    synced_at_ = next;
    return Answer::kFollow;
  }
  if (refusals_ > kMaxRetries) return Answer::kGiveUp;
  ++refusals_;
  refused_at_ = next;
  fetched_ = false;
  return Answer::kRefuse;
}

void FullSyncDialogue::OnFetchMeta() {
  begun_ = true;
  fetched_ = true;
}

void FullSyncDialogue::OnUpstreamRefused() {
  synced_at_.reset();
  fetched_ = false;
}

}  // namespace walstitch::relay
