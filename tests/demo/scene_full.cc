// Orders differ, and the policy says that they must not: the node is copied afresh.
#include "policies/model/reason_codes.h"
#include "tests/demo/scene.h"

namespace walstitch::demo {
namespace {

class FullScene : public Scene {
 public:
  std::string Title() const override { return "Orders diverge: full"; }

  Rejoined Play(Stage& stage) override {
    Narrator& narrator = stage.narrator();
    narrator.Say(
        "The same once more, only that the records are orders, and the policy says of orders: fullsync. One "
        "page "
        "among them changes nothing: the strictest keyspace that is touched decides.");
    stage.Split(
        "n1",
        [&](test::RedisClient& client) {
          Stage::Run(client, {"SET", "order:4", "lost: gloves, at n3"});
          Stage::Run(client, {"SET", "page:1", "lost: rendered at n3"});
          narrator.Point("n3 accepts an order and a page that nobody else will ever see.");
        },
        [&](test::RedisClient& client) {
          Stage::Run(client, {"MSET", "order:4", "a coat", "order:5", "two belts", "order:6", "socks"});
          narrator.Point("n1 accepts three orders in one batch; one has the same number as the lost one.");
        });
    narrator.Say("n3 as it died, compared with n1 as it is now, key by key:");
    const Keys keys = stage.TellDifference("n3", stage.AsItDied(), "n1", stage.cluster().Keyspace("n1"));

    Rejoined rejoined =
        stage.Rejoin("n3", {Verdict::kFull, {reason::kKeyspaceFullSync}, 0, /*full_syncs=*/1});

    stage.CompareKeys(keys, rejoined.record);
    stage.checker().Expect(keys.size() == 4, "4 keys were to differ, not " + std::to_string(keys.size()));
    narrator.Say(
        rejoined.differing_keys == 0
            ? "After the copy nothing differs: n3 gave up its order, and has n1's. The other scenes' numbers "
              "are to be compared with these: the same nodes, the same data."
            : "After the copy " + std::to_string(rejoined.differing_keys) + " keys differ.");
    stage.checker().Expect(rejoined.differing_keys == 0, "n3 and n1 differ after a full sync");
    // A copy comes without a WAL: one batch that n3 has in common with the others, for the next comparison.
    {
      test::RedisClient client = stage.cluster().Client("n1");
      Stage::Run(client, {"SET", "order:8", "a raincoat"});
    }
    stage.ExpectEqualNodes();
    narrator.Say("n1 accepts another order, and n3 has it at once: it is an ordinary replica again.");
    return rejoined;
  }
};

}  // namespace

std::unique_ptr<Scene> MakeFullScene() { return std::make_unique<FullScene>(); }

}  // namespace walstitch::demo
