#include "controller/core/settings.h"

#include "policies/quantity.h"

namespace walstitch::core {
namespace {

using Problem = std::optional<SettingsProblem>;

Problem CheckLease(const LeaseTerms& terms) {
  if (auto checked = CheckTerms(terms); !checked) {
    // The one that is wrong by itself; if none is, they do not fit together.
    const std::string& why = checked.error().Message();
    LeaseTerms alone = {terms.duration_ms, 0, 0};
    if (!CheckTerms(alone)) {
      return SettingsProblem{{"lease.duration"}, "lease.duration: " + why};
    }
    alone = {LeaseTerms().duration_ms, terms.drift_permille, 0};
    if (!CheckTerms(alone)) {
      return SettingsProblem{{"lease.drift"}, "lease.drift: " + why + " (1% is 10 thousandths)"};
    }
    return SettingsProblem{{"lease.park", "lease.drift", "lease.duration"},
                           "lease: " + why + "; expected a longer lease.duration or a shorter lease.park"};
  }
  // 1. The holder's clock is slewed by NTP, which the kernel does by up to 0.05%; so is the grantor's, the
  // other way. 2. With no allowance the grantor's lease ends before the holder's. 3. Another is promoted
  // while the holder still takes writes: two masters.
  if (terms.drift_permille < 1) {
    return SettingsProblem{{"lease.drift"},
                           "lease.drift is 0%, but no two clocks agree: time servers alone make them differ "
                           "by up to 0.1%; expected 0.1% to 10%"};
  }
  // 1. The holder begins to park so long before its lease ends. 2. Parking takes a round trip to its server,
  // which waits for the commands under way. 3. If that takes longer, writes are acknowledged behind the end.
  if (terms.park_ms < kShortestParkMs) {
    return SettingsProblem{{"lease.park"},
                           "lease.park is " + DurationText(terms.park_ms) +
                               ", in which a busy server may not be parked: it would take writes after its "
                               "lease; expected at least " +
                               DurationText(kShortestParkMs)};
  }
  return std::nullopt;
}

Problem AtLeast(std::string_view setting, std::int64_t ms, std::int64_t least_ms, const std::string& why) {
  if (ms >= least_ms) return std::nullopt;
  return SettingsProblem{{setting, "lease.duration"},
                         std::string(setting) + " is " + DurationText(ms) + ", but " + why +
                             "; expected at least " + DurationText(least_ms) +
                             ", or a shorter lease.duration"};
}

}  // namespace

std::optional<SettingsProblem> CheckSettings(const FailoverSettings& settings) {
  if (auto problem = CheckLease(settings.lease)) return problem;
  const std::int64_t renewal = RenewInterval(settings.lease);
  const std::string lease = "a lease of " + DurationText(settings.lease.duration_ms);
  // An agent that has nothing new to tell reports once in a renewal. Counted as gone within less, every
  // agent would be gone again and again, and each time its group's failover be considered.
  if (auto problem = AtLeast("failover.unreachableAfter", settings.unreachable_ms, renewal,
                             "under " + lease + " an agent may be silent for " + DurationText(renewal) +
                                 " between two renewals")) {
    return problem;
  }
  // What is known of a server is as old as its agent's last report. One answer that is late is not yet a
  // server that hangs; it must be missing in the report behind it as well.
  if (auto problem = AtLeast("failover.hungAfter", settings.hung_ms, renewal,
                             "under " + lease + " what is known of a server may be " + DurationText(renewal) +
                                 " old, and one late answer is no hung server")) {
    return problem;
  }
  // The master's last and the replica's come in two reports, each of them up to a renewal old: within less
  // than both, a replica that was only asked earlier looks stuck.
  if (auto problem = AtLeast("failover.stuckFeedAfter", settings.stuck_feed_ms, 2 * renewal,
                             "under " + lease + " a master's report and its replica's may be made " +
                                 DurationText(2 * renewal) + " apart")) {
    return problem;
  }
  // 1. The group is failed over, and the new master given its lease. 2. It is lost at once: the fault is one
  // that promotions do not help. 3. Nobody else may be promoted before that lease has run out. A shorter
  // block would be over by then: it would block nothing, and masters would follow one another.
  return AtLeast("failover.blockAfter", settings.block_ms, GrantorDeadline(0, settings.lease),
                 "under " + lease + " nobody can be promoted for " +
                     DurationText(GrantorDeadline(0, settings.lease)) +
                     " after a failover anyway: it would block nothing");
}

}  // namespace walstitch::core
