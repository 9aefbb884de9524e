// Private to json_*.cc: the field lists of the shared words. What is written here is the JSON that
// people and peers see; a field that a newer version adds must be Defaulted or optional, so that it
// reads what an older one wrote.
#pragma once

#include <type_traits>

#include "policies/model/decision.h"
#include "policies/model/report.h"
#include "policies/model/salvage.h"

namespace walstitch {

template <typename S, typename T>
concept Like = std::is_same_v<std::remove_const_t<S>, T>;

template <typename V, Like<Endpoint> S>
void Fields(V& visit, S& s) {
  visit("host", s.host);
  visit("port", s.port);
}

template <typename V, Like<SequenceRange> S>
void Fields(V& visit, S& s) {
  visit("from", s.from);
  visit("to", s.to);
}

template <typename V, Like<BatchInfo> S>
void Fields(V& visit, S& s) {
  visit("first", s.first);
  visit("count", s.count);
  visit("bytes", s.bytes);
  visit("digest", s.digest);
  visit.Defaulted("marker", s.marker);
}

template <typename V, Like<PartDigest> S>
void Fields(V& visit, S& s) {
  visit("batches", s.batches);
  visit("first", s.first);
  visit("end", s.end);
  visit("digest", s.digest);
}

template <typename V, Like<RangeDigests> S>
void Fields(V& visit, S& s) {
  visit("parts", s.parts);
}

template <typename V, Like<MarkedBatches> S>
void Fields(V& visit, S& s) {
  visit("batches", s.batches);
  visit("looked_to", s.looked_to);
}

template <typename V, Like<RangeBytes> S>
void Fields(V& visit, S& s) {
  visit.Base64("bytes", s.bytes);
}

template <typename V, Like<TailBatches> S>
void Fields(V& visit, S& s) {
  visit("batches", s.batches);
  visit("next", s.next);
  visit("more", s.more);
}

template <typename V, Like<WalExtent> S>
void Fields(V& visit, S& s) {
  visit("oldest", s.oldest);
  visit("last", s.last);
  visit("files", s.files);
  visit("bytes", s.bytes);
  visit("source", s.source);
}

template <typename V, Like<TouchedKey> S>
void Fields(V& visit, S& s) {
  visit.Defaulted("internal", s.internal);
  visit.Raw("name_space", s.name_space);
  visit.Raw("key", s.key);
  visit("types", s.types);
  visit("records", s.records);
  visit("bytes", s.bytes);
}

template <typename V, Like<Touched> S>
void Fields(V& visit, S& s) {
  visit("range", s.range);
  visit("records", s.records);
  visit("bytes", s.bytes);
  visit("range_deletes", s.range_deletes);
  visit("truncated", s.truncated);
  visit("keys", s.keys);
}

template <typename V, Like<RelayReport> S>
void Fields(V& visit, S& s) {
  visit("state", s.state);
  visit("node_attached", s.node_attached);
  visit("node_next", s.node_next);
  visit("upstream", s.upstream);
  visit("upstream_connected", s.upstream_connected);
  visit("upstream_silent_ms", s.upstream_silent_ms);
  visit("frames_forwarded", s.frames_forwarded);
  visit("bytes_forwarded", s.bytes_forwarded);
  visit("full_sync_bytes", s.full_sync_bytes);
  visit("full_syncs_refused", s.full_syncs_refused);
  visit.Defaulted("error", s.error);
}

template <typename V, Like<SyncCounters> S>
void Fields(V& visit, S& s) {
  visit("sync_full", s.sync_full);
  visit("sync_partial_ok", s.sync_partial_ok);
  visit("sync_partial_err", s.sync_partial_err);
  visit("sync_partial_padding", s.sync_partial_padding);
}

template <typename V, Like<DiskReport> S>
void Fields(V& visit, S& s) {
  visit("free_bytes", s.free_bytes);
  visit("total_bytes", s.total_bytes);
  visit("read_only", s.read_only);
}

template <typename V, Like<Report> S>
void Fields(V& visit, S& s) {
  visit("node", s.node);
  visit("group", s.group);
  visit.Defaulted("boot_id", s.boot_id);
  visit.Defaulted("boot_ms", s.boot_ms);
  visit("time_ms", s.time_ms);
  visit("number", s.number);
  visit("epoch", s.epoch);
  visit("endpoint", s.endpoint);
  visit.Defaulted("relay_endpoint", s.relay_endpoint);
  visit("process", s.process);
  visit("role", s.role);
  visit("master", s.master);
  visit("upstream_is_relay", s.upstream_is_relay);
  visit("link_up", s.link_up);
  visit("connected_replicas", s.connected_replicas);
  visit("last", s.last);
  visit("loading", s.loading);
  visit("full_sync", s.full_sync);
  visit("relay", s.relay);
  visit("counters", s.counters);
  visit("version", s.version);
  visit("replication_id_psync", s.replication_id_psync);
  visit("cluster_enabled", s.cluster_enabled);
  visit("wal_readable", s.wal_readable);
  visit("lease_left_ms", s.lease_left_ms);
  visit("promised_left_ms", s.promised_left_ms);
  visit.Defaulted("leased", s.leased);
  visit("disk", s.disk);
  visit("data_bytes", s.data_bytes);
  visit("empties_before_full_sync", s.empties_before_full_sync);
  visit.Defaulted("leaving", s.leaving);
  visit.Defaulted("writes_refused", s.writes_refused);
  visit.Defaulted("error", s.error);
}

template <typename V, Like<LeaseTerms> S>
void Fields(V& visit, S& s) {
  visit("duration_ms", s.duration_ms);
  visit("drift_permille", s.drift_permille);
  visit("park_ms", s.park_ms);
}

template <typename V, Like<GroupMember> S>
void Fields(V& visit, S& s) {
  visit("node", s.node);
  visit("agent", s.agent);
  visit.Defaulted("own_address", s.own_address);
}

template <typename V, Like<LeaseGrant> S>
void Fields(V& visit, S& s) {
  visit("group", s.group);
  visit("node", s.node);
  visit("epoch", s.epoch);
  visit("boot_id", s.boot_id);
  visit("anchor_ms", s.anchor_ms);
  visit("terms", s.terms);
  visit("others", s.others);
}

template <typename V, Like<PromiseRequest> S>
void Fields(V& visit, S& s) {
  visit("group", s.group);
  visit("holder", s.holder);
  visit("node", s.node);
  visit("epoch", s.epoch);
  visit("terms", s.terms);
}

template <typename V, Like<PromiseAnswer> S>
void Fields(V& visit, S& s) {
  visit("promised", s.promised);
  visit("epoch", s.epoch);
  visit.Defaulted("reason", s.reason);
}

template <typename V, Like<ParkAction> S>
void Fields(V&, S&) {}

template <typename V, Like<PromoteAction> S>
void Fields(V& visit, S& s) {
  visit("require_last", s.require_last);
  visit("lease", s.lease);
  visit.Defaulted("holder_fenced", s.holder_fenced);
  visit.Defaulted("replaces", s.replaces);
}

template <typename V, Like<PadAction> S>
void Fields(V& visit, S& s) {
  visit("expected_next", s.expected_next);
  visit("target", s.target);
  visit("decision", s.decision);
  visit.Defaulted("replication_id", s.replication_id);
}

template <typename V, Like<FollowAction> S>
void Fields(V& visit, S& s) {
  visit("upstream", s.upstream);
  visit("expected_next", s.expected_next);
  visit("last_batch", s.last_batch);
}

template <typename V, Like<RescueAction> S>
void Fields(V& visit, S& s) {
  visit("source", s.source);
  visit("source_url", s.source_url);
  visit("target", s.target);
  visit.Defaulted("max_bytes", s.max_bytes);
  visit.Defaulted("alive", s.alive);
  visit("last_batch", s.last_batch);
}

template <typename V, Like<SalvageAction> S>
void Fields(V& visit, S& s) {
  visit("range", s.range);
  visit("fork", s.fork);
  visit("decision", s.decision);
  visit("survivor", s.survivor);
  visit.Defaulted("required", s.required);
}

template <typename V, Like<SalvageRef> S>
void Fields(V& visit, S& s) {
  visit("id", s.id);
  visit("node", s.node);
  visit("path", s.path);
  visit("range", s.range);
  visit("records", s.records);
  visit("keys", s.keys);
  visit("bytes", s.bytes);
  visit.Defaulted("lacks", s.lacks);
}

template <typename V, Like<FullSyncAction> S>
void Fields(V& visit, S& s) {
  visit("upstream", s.upstream);
  visit.Defaulted("bytes_per_second", s.bytes_per_second);
}

template <typename V, Like<AdoptMasterAction> S>
void Fields(V& visit, S& s) {
  visit("lease", s.lease);
}

template <typename V, Like<ReleaseAction> S>
void Fields(V& visit, S& s) {
  visit("upstream", s.upstream);
}

template <typename V, Like<AdvanceAction> S>
void Fields(V& visit, S& s) {
  visit("from", s.from);
  visit("count", s.count);
  visit("decision", s.decision);
}

template <typename V, Like<SpliceAction> S>
void Fields(V& visit, S& s) {
  visit("upstream", s.upstream);
  visit("fork", s.fork);
  visit("expected_next", s.expected_next);
  visit("shift", s.shift);
  visit("decision", s.decision);
  visit("last_common", s.last_common);
  visit.Defaulted("undo", s.undo);
  visit.Defaulted("undo_records", s.undo_records);
}

template <typename V, Like<UserKeyName> S>
void Fields(V& visit, S& s) {
  visit.Raw("namespace", s.name_space);
  visit.Raw("key", s.key);
}

template <typename V, Like<KeyProblem> S>
void Fields(V& visit, S& s) {
  visit("name", s.name);
  visit("why", s.why);
}

template <typename V, Like<KeysQuestion> S>
void Fields(V& visit, S& s) {
  visit("keys", s.keys);
}

template <typename V, Like<ValueState> S>
void Fields(V& visit, S& s) {
  visit("type", s.type);
  visit("digest", s.digest);
  visit("expire_ms", s.expire_ms);
  visit.Defaulted("expire_error_ms", s.expire_error_ms);
  visit.Defaulted("why", s.why);
  visit.Defaulted("passing", s.passing);
}

template <typename V, Like<ValuesAnswer> S>
void Fields(V& visit, S& s) {
  visit("from", s.from);
  visit("last", s.last);
  visit("values", s.values);
}

template <typename V, Like<UnrepairableKey> S>
void Fields(V& visit, S& s) {
  visit("at", s.at);
  visit("why", s.why);
}

template <typename V, Like<RepairableAnswer> S>
void Fields(V& visit, S& s) {
  visit("cannot", s.cannot);
  visit("types", s.types);
}

template <typename V, Like<Comparison> S>
void Fields(V& visit, S& s) {
  visit("equal", s.equal);
  visit("differ", s.differ);
  visit("differing", s.differing);
  visit("unreadable", s.unreadable);
  visit("unread", s.unread);
  visit("restless", s.restless);
  visit("never_still", s.never_still);
}

template <typename V, Like<RepairReport> S>
void Fields(V& visit, S& s) {
  visit("repaired", s.repaired);
  visit("evicted", s.evicted);
  visit("failed", s.failed);
  visit("failures", s.failures);
}

template <typename V, Like<RepairAction> S>
void Fields(V& visit, S& s) {
  visit("decision", s.decision);
  visit("keyspace", s.keyspace);
  visit("repair", s.repair);
  visit("evict", s.evict);
  visit.Defaulted("max_bytes", s.max_bytes);
}

template <typename V, Like<OfferPaddingAction> S>
void Fields(V& visit, S& s) {
  visit("on", s.on);
}

template <typename V, Like<CompareAction> S>
void Fields(V& visit, S& s) {
  visit("survivor", s.survivor);
  visit("survivor_url", s.survivor_url);
  visit("keys", s.keys);
  visit.Defaulted("must_equal", s.must_equal);
  visit.Defaulted("rewritten", s.rewritten);
}

template <typename V, Like<Command> S>
void Fields(V& visit, S& s) {
  visit("id", s.id);
  visit("epoch", s.epoch);
  visit("group", s.group);
  visit("node", s.node);
  visit("action", s.action);
  visit.Defaulted("deadline_ms", s.deadline_ms);
}

template <typename V, Like<CommandResult> S>
void Fields(V& visit, S& s) {
  visit("id", s.id);
  visit("outcome", s.outcome);
  visit.Defaulted("error", s.error);
  visit("last", s.last);
  visit("last_after", s.last_after);
  visit("took_us", s.took_us);
  visit("salvage", s.salvage);
  visit("repair", s.repair);
  visit("comparison", s.comparison);
}

template <typename V, Like<UndoEvidence> S>
void Fields(V& visit, S& s) {
  visit("digest", s.digest);
  visit("records", s.records);
  visit("keys", s.keys);
  visit("left", s.left);
  visit("note", s.note);
  visit.Defaulted("undone", s.undone);
}

template <typename V, Like<UndoQuestion> S>
void Fields(V& visit, S& s) {
  visit("fork", s.fork);
  visit("last", s.last);
  visit("survivor", s.survivor);
  visit("scan_bytes", s.scan_bytes);
  visit.Defaulted("survivor_node", s.survivor_node);
}

template <typename V, Like<RawKey> S>
void Fields(V& visit, S& s) {
  visit("family", s.column_family);
  visit.Base64("key", s.key);
}

template <typename V, Like<WrittenQuestion> S>
void Fields(V& visit, S& s) {
  visit("from", s.from);
  visit("raw", s.raw);
  visit("names", s.names);
}

template <typename V, Like<WrittenAnswer> S>
void Fields(V& visit, S& s) {
  visit("last", s.last);
  visit("wrote", s.wrote);
  visit("renewed", s.renewed);
  visit("lacks", s.lacks);
}

template <typename V, Like<SideEvidence> S>
void Fields(V& visit, S& s) {
  visit("node", s.node);
  visit("last", s.last);
  visit("oldest", s.oldest);
  visit("wal_source", s.wal_source);
  visit("version", s.version);
  visit("replication_id_psync", s.replication_id_psync);
  visit("cluster_enabled", s.cluster_enabled);
  visit.Defaulted("offers_padding", s.offers_padding);
}

template <typename V, Like<BorrowEvidence> S>
void Fields(V& visit, S& s) {
  visit("lender", s.lender);
  visit("agent", s.agent);
  visit("range", s.range);
  visit("bytes", s.bytes);
  visit("joint", s.joint);
}

template <typename V, Like<EndangeredEvidence> S>
void Fields(V& visit, S& s) {
  visit("left_ms", s.left_ms);
  visit("falls_behind", s.falls_behind);
}

template <typename V, Like<Evidence> S>
void Fields(V& visit, S& s) {
  visit("rejoiner", s.rejoiner);
  visit("survivor", s.survivor);
  visit("fork", s.fork);
  visit("proof", s.proof);
  visit.Defaulted("same_stream", s.same_stream);
  visit.Defaulted("fork_note", s.fork_note);
  visit("target", s.target);
  visit("before_target", s.before_target);
  visit("tail", s.tail);
  visit("missed", s.missed);
  visit.Defaulted("replication_id", s.replication_id);
  visit("missing", s.missing);
  visit("expected_to_come", s.expected_to_come);
  visit("promoted_at", s.promoted_at);
  visit("replay_from", s.replay_from);
  visit("last_common", s.last_common);
  visit("own_last", s.own_last);
  visit("own_tail", s.own_tail);
  visit("undo", s.undo);
  visit.Defaulted("undo_note", s.undo_note);
  visit.Defaulted("splices_failed", s.splices_failed);
  visit.Defaulted("splice_failure", s.splice_failure);
  visit("unrepairable", s.unrepairable);
  visit.Defaulted("repair_failure", s.repair_failure);
  visit("borrow", s.borrow);
  visit.Defaulted("borrow_note", s.borrow_note);
  visit.Defaulted("lender_unheard", s.lender_unheard);
  visit("endangered", s.endangered);
}

template <typename V, Like<Reason> S>
void Fields(V& visit, S& s) {
  visit("code", s.code);
  visit("sentence", s.sentence);
}

template <typename V, Like<KeyspaceFinding> S>
void Fields(V& visit, S& s) {
  visit("keyspace", s.keyspace);
  visit("rule", s.rule);
  visit("tolerance", s.tolerance);
  visit("tail_records", s.tail_records);
  visit("missed_records", s.missed_records);
  visit("keys", s.keys);
  visit("bytes", s.bytes);
  visit("limits_passed", s.limits_passed);
}

template <typename V, Like<Alternative> S>
void Fields(V& visit, S& s) {
  visit("verdict", s.verdict);
  visit("possible", s.possible);
  visit("cost", s.cost);
}

template <typename V, Like<VerdictDecision> S>
void Fields(V& visit, S& s) {
  visit("verdict", s.verdict);
  visit("reasons", s.reasons);
  visit("keyspaces", s.keyspaces);
  visit("alternatives", s.alternatives);
}

template <typename V, Like<PlanStep> S>
void Fields(V& visit, S& s) {
  visit("node", s.node);
  visit("action", s.action);
  visit("why", s.why);
}

template <typename V, Like<Decision> S>
void Fields(V& visit, S& s) {
  visit("id", s.id);
  visit("time_ms", s.time_ms);
  visit("group", s.group);
  visit("epoch", s.epoch);
  visit("kind", s.kind);
  visit("node", s.node);
  visit("survivor", s.survivor);
  visit("finding", s.finding);
  visit("noticed_ms", s.noticed_ms);
  visit("evidence", s.evidence);
  visit("policy_name", s.policy_name);
  visit("policy_hash", s.policy_hash);
  visit("verdict", s.verdict);
  visit("reasons", s.reasons);
  visit("left_behind", s.left_behind);
  visit("plan", s.plan);
}

template <typename V, Like<StepRecord> S>
void Fields(V& visit, S& s) {
  visit("node", s.node);
  visit("action", s.action);
  visit("command", s.command);
  visit("start_ms", s.start_ms);
  visit("end_ms", s.end_ms);
  visit("outcome", s.outcome);
  visit.Defaulted("detail", s.detail);
}

template <typename V, Like<KeysMended> S>
void Fields(V& visit, S& s) {
  visit("before", s.before);
  visit("repair", s.repair);
  visit("after", s.after);
}

template <typename V, Like<OutcomeRecord> S>
void Fields(V& visit, S& s) {
  visit("outcome", s.outcome);
  visit("sentence", s.sentence);
  visit("time_ms", s.time_ms);
  visit("survivor_before", s.survivor_before);
  visit("survivor_after", s.survivor_after);
  visit("bytes_to_node", s.bytes_to_node);
  visit("took_ms", s.took_ms);
  visit("without_master_ms", s.without_master_ms);
  visit("salvage", s.salvage);
  visit("keys", s.keys);
}

template <typename V, Like<DecisionRecord> S>
void Fields(V& visit, S& s) {
  visit("decision", s.decision);
  visit("steps", s.steps);
  visit("outcome", s.outcome);
}

template <typename V, Like<SalvageFile> S>
void Fields(V& visit, S& s) {
  visit("name", s.name);
  visit("bytes", s.bytes);
  visit("sha256", s.sha256);
}

template <typename V, Like<SalvageManifest> S>
void Fields(V& visit, S& s) {
  visit("format", s.format);
  visit("id", s.id);
  visit("group", s.group);
  visit("node", s.node);
  visit("survivor", s.survivor);
  visit("range", s.range);
  visit("fork", s.fork);
  visit("time_ms", s.time_ms);
  visit("batches", s.batches);
  visit("records", s.records);
  visit("range_deletes", s.range_deletes);
  visit("keys", s.keys);
  visit("values", s.values);
  visit("absent", s.absent);
  visit("not_kept", s.not_kept);
  visit.Defaulted("lacks", s.lacks);
  visit("files", s.files);
}

template <typename V, Like<DamagedSalvage> S>
void Fields(V& visit, S& s) {
  visit("id", s.id);
  visit("problem", s.problem);
}

template <typename V, Like<SalvageList> S>
void Fields(V& visit, S& s) {
  visit("salvages", s.salvages);
  visit("damaged", s.damaged);
}

template <typename V, Like<SalvagedKey> S>
void Fields(V& visit, S& s) {
  visit.Raw("namespace", s.name_space);
  visit.Raw("key", s.key);
  visit("type", s.type);
  visit("kept", s.kept);
  visit.Defaulted("why", s.why);
  visit("expire_ms", s.expire_ms);
  visit("at", s.at);
  visit("bytes", s.bytes);
}

template <typename V, Like<SalvagedKeys> S>
void Fields(V& visit, S& s) {
  visit("keys", s.keys);
  visit("next", s.next);
}

template <typename V, Like<ReplayRequest> S>
void Fields(V& visit, S& s) {
  visit("epoch", s.epoch);
  visit("group", s.group);
  visit("node", s.node);
  visit("source", s.source);
  visit("source_url", s.source_url);
  visit("salvage", s.salvage);
  visit("at", s.at);
  visit("dry_run", s.dry_run);
  visit("overwrite", s.overwrite);
  visit("deletions", s.deletions);
}

template <typename V, Like<ReplayedKey> S>
void Fields(V& visit, S& s) {
  visit.Raw("namespace", s.name_space);
  visit.Raw("key", s.key);
  visit("type", s.type);
  visit("result", s.result);
  visit.Defaulted("why", s.why);
}

template <typename V, Like<ReplayAnswer> S>
void Fields(V& visit, S& s) {
  visit("keys", s.keys);
}

}  // namespace walstitch
