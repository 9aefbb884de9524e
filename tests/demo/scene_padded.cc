// Pages of a cache differ, the policy lets them, and the numbers do not fit: the node is padded.
#include "policies/model/reason_codes.h"
#include "tests/demo/scene.h"

namespace walstitch::demo {
namespace {

class PaddedScene : public Scene {
 public:
  std::string Title() const override { return "Pages of a cache diverge: padded"; }

  Rejoined Play(Stage& stage) override {
    Narrator& narrator = stage.narrator();
    narrator.Say(
        "Now the master dies with writes that nobody else has seen, and the new master writes other things "
        "under the "
        "same numbers. Plain Kvrocks would make a full sync of it: the old master asks for a number that "
        "lies inside "
        "a batch of the new one. But all of it is pages of a cache, and the policy says of page-cache: "
        "ignore.");
    stage.Split(
        "n3",
        [&](test::RedisClient& client) {
          Stage::Run(client, {"SET", "page:1", "lost: rendered at n2"});
          Stage::Run(client, {"SET", "page:2", "lost: rendered at n2"});
          Stage::Run(client, {"SET", "page:draft", "lost: only n2 had it"});
          narrator.Point("n2 accepts three pages, which nobody else will ever see: the tail.");
        },
        [&](test::RedisClient& client) {
          std::vector<std::string> pages = {"MSET"};
          for (const char* page : {"page:2", "page:3", "page:4", "page:5", "page:6"}) {
            pages.insert(pages.end(), {page, "rendered at n3"});
          }
          Stage::Run(client, pages);
          Stage::Run(client, {"SET", "order:3", "a scarf"});
          narrator.Point(
              "n3 accepts five pages in one MSET, one batch, and then an order in a batch of its own.");
        });

    Rejoined rejoined =
        stage.Rejoin("n2", {Verdict::kPadded, {reason::kWithinPolicy}, /*pad=*/2, /*full_syncs=*/0});

    narrator.Say(
        "n2 was three records past the fork, n3 had a batch of five there: two records without data, and n2 "
        "could "
        "enter n3's stream behind that batch, where the order stands. n2 misses the five pages and keeps its "
        "own "
        "three. Both keyspaces, compared key by key, differ in these:");
    const Keys keys =
        stage.TellDifference("n2", stage.cluster().Keyspace("n2"), "n3", stage.cluster().Keyspace("n3"));
    stage.CompareKeys(keys, rejoined.record);
    stage.checker().Expect(keys.size() == 7, "7 keys were to differ, not " + std::to_string(keys.size()));

    {
      test::RedisClient client = stage.cluster().Client("n3");
      for (const std::string& key : keys) {
        Stage::Run(client, {"SET", key.substr(key.find(':') + 1), "rendered again"});
      }
    }
    stage.ExpectEqualNodes();
    narrator.Say(
        "So it is with a cache: as soon as those pages are written again, all three nodes are equal.");
    return rejoined;
  }
};

}  // namespace

std::unique_ptr<Scene> MakePaddedScene() { return std::make_unique<PaddedScene>(); }

}  // namespace walstitch::demo
