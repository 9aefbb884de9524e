// Nothing differs: the old master holds nothing that the new one does not hold.
#include "policies/model/reason_codes.h"
#include "tests/demo/scene.h"

namespace walstitch::demo {
namespace {

class AlignedScene : public Scene {
 public:
  std::string Title() const override { return "A clean return: aligned"; }

  Rejoined Play(Stage& stage) override {
    Narrator& narrator = stage.narrator();
    narrator.Say(
        "The master dies and another node takes its place. While it is away, writes go on. It comes back "
        "with "
        "nothing of its own: its history is the beginning of the new master's, and it only has to catch up.");
    {
      test::RedisClient client = stage.cluster().Client("n1");
      for (int i = 1; i <= 5; ++i) Stage::Run(client, {"SET", "page:" + std::to_string(i), "rendered at n1"});
    }
    if (!stage.WaitSettled()) throw Trouble("the replicas do not keep up with n1");
    stage.FailOver("n2");
    {
      test::RedisClient client = stage.cluster().Client("n2");
      for (int i = 1; i <= 5; ++i) Stage::Run(client, {"SET", "page:" + std::to_string(i), "rendered at n2"});
      Stage::Run(client, {"MSET", "order:1", "two shirts", "order:2", "a hat"});
    }
    narrator.Point("n2 accepts five pages and two orders; n1 does not know of them.");

    Rejoined rejoined = stage.Rejoin("n1", {Verdict::kAligned, {reason::kPrefixOfSurvivor}, 0, 0});

    const std::size_t differing = rejoined.differing_keys;
    narrator.Say("Keys that differ between n1 and n2 now: " +
                 (differing == 0 ? "none, in the whole keyspace." : std::to_string(differing) + "."));
    stage.checker().Expect(differing == 0, "n1 and n2 differ in " + std::to_string(differing) + " keys");
    stage.checker().Expect(Stage::KeysOf(rejoined.record).empty(), "the record names keys that may differ");
    return rejoined;
  }
};

}  // namespace

std::unique_ptr<Scene> MakeAlignedScene() { return std::make_unique<AlignedScene>(); }

}  // namespace walstitch::demo
