// The number fits by chance: first on two plain nodes, which resume without a word; then in the group.
#include "policies/model/reason_codes.h"
#include "tests/demo/scene.h"
#include "tests/support/keyspace.h"

namespace walstitch::demo {
namespace {

// As many records on one side as on the other, each a batch of its own.
void WriteThree(test::RedisClient& client, const std::string& prefix, const std::string& value) {
  for (int i = 1; i <= 3; ++i) Stage::Run(client, {"SET", prefix + std::to_string(i), value});
}

class NumberFitsScene : public Scene {
 public:
  std::string Title() const override {
    return "The number fits, the histories differ: padded, and not unseen";
  }

  Rejoined Play(Stage& stage) override {
    PlayPlain(stage);
    Narrator& narrator = stage.narrator();
    narrator.Say("The same in the group, with pages, of which the policy says: ignore.");
    stage.Split(
        "n2",
        [&](test::RedisClient& client) {
          WriteThree(client, "page:left:", "lost: rendered at n1");
          narrator.Point("n1 accepts three pages that nobody else will ever see.");
        },
        [&](test::RedisClient& client) {
          WriteThree(client, "page:right:", "rendered at n2");
          Stage::Run(client, {"SET", "order:7", "an umbrella"});
          narrator.Point(
              "n2 accepts three other pages and an order: n1's next number is where the order begins.");
        });

    Rejoined rejoined = stage.Rejoin(
        "n1", {Verdict::kPadded, {reason::kWithinPolicy, reason::kNumberFitsHistoriesDiffer}, /*pad=*/0, 0});

    narrator.Say(
        "On the wire it is what plain Kvrocks would have done. But it was decided, by a policy that allows "
        "it, and "
        "it is on record with every key. Had one of them been an order, the verdict would have been full.");
    const Keys keys =
        stage.TellDifference("n1", stage.cluster().Keyspace("n1"), "n2", stage.cluster().Keyspace("n2"));
    stage.CompareKeys(keys, rejoined.record);
    stage.checker().Expect(keys.size() == 6, "6 keys were to differ, not " + std::to_string(keys.size()));
    return rejoined;
  }

 private:
  // Without agents, without a controller.
  static void PlayPlain(Stage& stage) {
    Narrator& narrator = stage.narrator();
    narrator.Say(
        "Two plain nodes first, p1 and its replica p2, with nothing of Walstitch beside them. p2 is "
        "promoted; each "
        "accepts three orders that the other does not see; then p1 is made p2's replica.");
    test::NodeServer old_master;
    test::NodeServer new_master;
    new_master.SetUpstream(old_master.port());
    Must(old_master.Start());
    Must(new_master.Start());
    test::RedisClient old_client = old_master.Client();
    test::RedisClient new_client = new_master.Client();
    Stage::Run(old_client, {"SET", "order:0", "known to both"});
    if (!new_master.WaitInSync(old_master)) throw Trouble("p2 does not replicate from p1");
    Stage::Run(new_client, {"SLAVEOF", "NO", "ONE"});
    WriteThree(old_client, "order:left:", "paid at p1");
    WriteThree(new_client, "order:right:", "paid at p2");
    const SyncCounters before = Stage::CountersOf(new_master);
    // Refused as long as p1 has not noticed that p2 is its replica no more.
    const std::string port = std::to_string(new_master.port());
    if (!Stage::Await([&](auto) { return old_client("SLAVEOF", "127.0.0.1", port).IsOk(); })) {
      throw Trouble("p1 does not become p2's replica");
    }
    if (!old_master.WaitInSync(new_master)) throw Trouble("p1 does not replicate from p2");
    const SyncCounters after = Stage::CountersOf(new_master);

    narrator.Say(
        "p1 asks for the number after its last, a batch of p2 begins there, so p2 says OK. The link is up, "
        "both have "
        "the same last sequence, the counters speak of one good partial sync:");
    stage.TellCounters("p2", before, after);
    narrator.Say("And six orders are on one side only, for ever, and nobody was told:");
    const Keys keys =
        stage.TellDifference("p1", test::DumpKeyspace(old_client), "p2", test::DumpKeyspace(new_client));
    Checker& checker = stage.checker();
    checker.Expect(keys.size() == 6,
                   "6 keys of the plain nodes were to differ, not " + std::to_string(keys.size()));
    checker.Expect(after.sync_full == before.sync_full && after.sync_partial_ok == before.sync_partial_ok + 1,
                   "the plain nodes did not resume by a partial sync");
  }
};

}  // namespace

std::unique_ptr<Scene> MakeNumberFitsScene() { return std::make_unique<NumberFitsScene>(); }

}  // namespace walstitch::demo
