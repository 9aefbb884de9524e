// Answers to what is asked about the groups: SENTINEL, ROLE and INFO, with the fields that Redis 7 gives, in
// its order. Pure.
//
// Without a master that takes writes, `get-master-addr-by-name` has no answer (nil): clients ask again, or
// another. `masters` and `master` show where it was, with the flags s_down and o_down. While nothing is known
// at all, or of that group, questions get the error LOADING, upon which clients ask another.
#pragma once

#include "controller/sentinel/knowledge.h"
#include "controller/sentinel/resp.h"

namespace walstitch::sentinel {

// SENTINEL …, but for `failover` of a group that is known: that is an order.
Reply AnswerSentinel(const Request& request, const Knowledge& knowledge);
// The group that `SENTINEL FAILOVER name` is about; an Error has the reply's text, with its code.
Result<std::string> GroupToFailOver(const Request& request, const Knowledge& knowledge);

// The answer to an order of a failover that goes on already.
inline constexpr std::string_view kInProgress = "INPROG Failover already in progress";
// The answer to an order that was refused, or could not be given, with Redis' code where it has one. `group`
// as it is seen; null: it is not.
Reply AnswerRefusal(const Error& error, const GroupSeen* group);

Reply AnswerRole(const Knowledge& knowledge);
Reply AnswerInfo(const Request& request, const Knowledge& knowledge);

Reply WrongArguments(std::string_view command);
std::string Lower(std::string_view text);
// A client's words in an error: no more than 128 bytes of them.
std::string Quoted(std::string_view text);

}  // namespace walstitch::sentinel
