#include "controller/shell/policy_store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "tests/support/environment.h"

namespace walstitch::shell {
namespace {

std::string Policy(const std::string& name, const std::string& spec) {
  return "apiVersion: walstitch/v1\nkind: TolerancePolicy\nmetadata: {name: " + name + "}\nspec: " + spec +
         "\n";
}

class PolicyStoreTest : public testing::Test {
 protected:
  void Write(const std::string& file, const std::string& content) {
    std::ofstream(std::filesystem::path(directory_.path()) / file) << content;
  }
  void Remove(const std::string& file) {
    std::filesystem::remove(std::filesystem::path(directory_.path()) / file);
  }

  test::TempDirectory directory_;
  PolicyStore store_{{directory_.path()}};
};

TEST_F(PolicyStoreTest, WithoutFilesNothingMayDiffer) {
  EXPECT_TRUE(store_.Refresh());
  EXPECT_EQ(store_.For("shop").default_tolerance, Tolerance::kFullSync);
  EXPECT_EQ(store_.Problem(), "");
}

TEST_F(PolicyStoreTest, AChangedFileIsInForceAtTheNextLook) {
  Write("a.yaml", Policy("a", "{default: fullsync}"));
  EXPECT_TRUE(store_.Refresh());
  EXPECT_FALSE(store_.Refresh());
  Write("a.yaml", Policy("a", "{default: ignore}"));
  EXPECT_TRUE(store_.Refresh());
  EXPECT_EQ(store_.For("shop").default_tolerance, Tolerance::kIgnore);
}

TEST_F(PolicyStoreTest, AnInvalidFileIsRefusedWholeAndTheOldPolicyStays) {
  Write("a.yaml", Policy("a", "{default: ignore}"));
  store_.Refresh();
  Write("a.yaml", Policy("a", "{default: perhaps}"));
  EXPECT_FALSE(store_.Refresh());
  EXPECT_EQ(store_.For("shop").default_tolerance, Tolerance::kIgnore);
  EXPECT_NE(store_.Problem().find("a.yaml:4:17: "), std::string::npos) << store_.Problem();
  Write("a.yaml", Policy("a", "{default: ignore, limits: {pad: 7}}"));
  EXPECT_TRUE(store_.Refresh());
  EXPECT_EQ(store_.Problem(), "");
  EXPECT_EQ(store_.For("shop").limits.pad, 7U);
}

TEST_F(PolicyStoreTest, AFileIsForItsGroupsOnly) {
  Write("a.yaml", Policy("a", "{groups: ['shop-*'], default: ignore}"));
  store_.Refresh();
  EXPECT_EQ(store_.For("shop-1").default_tolerance, Tolerance::kIgnore);
  EXPECT_EQ(store_.For("bank").default_tolerance, Tolerance::kFullSync);
}

TEST_F(PolicyStoreTest, FilesThatContradictEachOtherLeaveNothingAllowed) {
  Write("a.yaml", Policy("a", "{default: ignore}"));
  Write("b.yaml", Policy("b", "{default: fullsync}"));
  store_.Refresh();
  EXPECT_EQ(store_.For("shop").default_tolerance, Tolerance::kFullSync);
  EXPECT_NE(store_.Problem().find("group shop: "), std::string::npos) << store_.Problem();
}

TEST_F(PolicyStoreTest, APathThatIsNotThereIsAProblem) {
  PolicyStore missing({directory_.path() + "/none.yaml"});
  EXPECT_FALSE(missing.Refresh());
  EXPECT_NE(missing.Problem().find("none.yaml"), std::string::npos);
}

TEST_F(PolicyStoreTest, FilesThatContradictEachOtherInAGroupAreRefusedAndTheOldPolicyStays) {
  Write("a.yaml", Policy("a", "{default: ignore}"));
  store_.Refresh();
  ASSERT_EQ(store_.For("shop").default_tolerance, Tolerance::kIgnore);
  Write("b.yaml", Policy("b", "{default: fullsync}"));
  EXPECT_FALSE(store_.Refresh());
  EXPECT_EQ(store_.For("shop").default_tolerance, Tolerance::kIgnore);
  EXPECT_NE(store_.Problem().find("group shop: "), std::string::npos) << store_.Problem();
}

// As a kubelet mounts a ConfigMap: the files are links into ..data, and that is exchanged at once.
class MountedPoliciesTest : public PolicyStoreTest {
 protected:
  void Mount(const std::string& version, const std::map<std::string, std::string>& files) {
    namespace fs = std::filesystem;
    const fs::path root = directory_.path();
    fs::create_directory(root / version);
    for (const auto& [name, content] : files) {
      std::ofstream(root / version / name) << content;
      if (!fs::is_symlink(root / name)) fs::create_symlink(fs::path("..data") / name, root / name);
    }
    fs::create_symlink(version, root / "..data_tmp");
    fs::rename(root / "..data_tmp", root / "..data");
  }
};

TEST_F(MountedPoliciesTest, ExchangedDirectoryIsInForceAtTheNextLook) {
  Mount("..1", {{"a.yaml", Policy("a", "{default: fullsync}")}});
  EXPECT_TRUE(store_.Refresh());
  EXPECT_FALSE(store_.Refresh());
  Mount("..2", {{"a.yaml", Policy("a", "{default: ignore}")}});
  EXPECT_TRUE(store_.Refresh());
  EXPECT_EQ(store_.For("shop").default_tolerance, Tolerance::kIgnore);
}

TEST_F(MountedPoliciesTest, SameContentInANewDirectoryIsNoChange) {
  Mount("..1", {{"a.yaml", Policy("a", "{default: ignore}")}});
  store_.Refresh();
  const std::string before = store_.For("shop").content_hash;
  Mount("..2", {{"a.yaml", Policy("a", "{default: ignore}")}});
  EXPECT_FALSE(store_.Refresh());
  EXPECT_EQ(store_.For("shop").content_hash, before);
}

TEST_F(MountedPoliciesTest, ErrorNamesTheFileByItsNameInTheConfigMap) {
  Mount("..1", {{"a.yaml", Policy("a", "{default: perhaps}")}});
  EXPECT_FALSE(store_.Refresh());
  EXPECT_NE(store_.Problem().find(directory_.path() + "/a.yaml:4:17: "), std::string::npos)
      << store_.Problem();
}

TEST_F(MountedPoliciesTest, FileThatLeftTheConfigMapIsNotInForceAnyMore) {
  Mount("..1", {{"a.yaml", Policy("a", "{default: ignore}")}});
  store_.Refresh();
  Mount("..2", {});
  EXPECT_TRUE(store_.Refresh());
  EXPECT_EQ(store_.For("shop").default_tolerance, Tolerance::kFullSync);
}

}  // namespace
}  // namespace walstitch::shell
