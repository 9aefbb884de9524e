#include "controller/kubernetes/resource.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace walstitch::kubernetes {
namespace {

TEST(ResourceTest, PathsOfTheCoreAndOfAGroup) {
  EXPECT_EQ(ResourcePath(Pods(), "default"), "/api/v1/namespaces/default/pods");
  EXPECT_EQ(ResourcePath(Pods(), "default", "shop-0", "status"),
            "/api/v1/namespaces/default/pods/shop-0/status");
  EXPECT_EQ(ResourcePath(Leases(), "db", "walstitch"),
            "/apis/coordination.k8s.io/v1/namespaces/db/leases/walstitch");
  EXPECT_EQ(ResourcePath(Decisions(), "db"), "/apis/walstitch.io/v1alpha1/namespaces/db/decisions");
  EXPECT_EQ(ResourcePath({"", "v1", "namespaces", "Namespace"}, "", "db"), "/api/v1/namespaces/db");
}

TEST(ResourceTest, NoNameCanChangeThePath) {
  EXPECT_EQ(ResourcePath(Pods(), "a/b", "../x?y", "z#"), "/api/v1/namespaces/a%2Fb/pods/..%2Fx%3Fy/z%23");
}

TEST(ResourceTest, WhatAnObjectDoesNotSayIsEmpty) {
  for (const char* text : {"{}", R"({"metadata":null})", R"({"metadata":[]})",
                           R"({"metadata":{"name":1,"labels":[],"resourceVersion":5}})"}) {
    const auto object = ParseObject(text);
    ASSERT_TRUE(object);
    EXPECT_EQ(NameOf(*object), "");
    EXPECT_EQ(ResourceVersionOf(*object), "");
    EXPECT_TRUE(LabelsOf(*object).empty());
  }
  const auto object = ParseObject(R"({"metadata":{"name":"a","labels":{"x":"y","z":1}}})");
  EXPECT_EQ(NameOf(*object), "a");
  EXPECT_EQ(LabelsOf(*object), (std::map<std::string, std::string>{{"x", "y"}}));
}

TEST(ResourceTest, BytesThatAreNoObjectAreRefusedInOneSentence) {
  const std::string deep = "{\"a\":" + std::string(200, '[') + std::string(200, ']') + "}";
  const std::vector<std::string> bad = {
      "", "{", "[]", "nothing", "{}{}", "\xff\xfe", "<html>\nline</html>", "{\"a\":1", deep};
  for (const std::string& text : bad) {
    const auto object = ParseObject(text);
    ASSERT_FALSE(object) << text;
    EXPECT_EQ(object.error().Message().find('\n'), std::string::npos);
    EXPECT_LT(object.error().Message().size(), 250U);
  }
  EXPECT_TRUE(ParseObject(" {\"a\": 1}\r\n"));
}

}  // namespace
}  // namespace walstitch::kubernetes
