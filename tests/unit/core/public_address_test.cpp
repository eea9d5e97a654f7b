// Which addresses a URL of somebody else's may lead to.
#include "core/public_address.hpp"

#include <gtest/gtest.h>

namespace daybook::core {
namespace {

TEST(PublicAddress, addresses_of_the_internet_are_public) {
  for (const char* address :
       {"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
        "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "198.17.255.255",
        "198.20.0.0", "223.255.255.255", "2606:4700::1111", "2a00::1", "2001:200::1",
        "64:ff9b::8.8.8.8", "::ffff:8.8.8.8", "2002:808:808::1"}) {
    EXPECT_TRUE(is_public_address(address)) << address;
  }
}

TEST(PublicAddress, private_and_special_addresses_are_not) {
  for (const char* address : {"0.0.0.0",
                              "0.1.2.3",
                              "10.0.0.1",
                              "10.255.255.255",
                              "100.64.0.1",
                              "100.127.255.255",
                              "127.0.0.1",
                              "127.255.255.254",
                              "169.254.169.254",
                              "172.16.0.1",
                              "172.31.255.255",
                              "192.0.0.1",
                              "192.0.2.1",
                              "192.168.0.1",
                              "198.18.0.1",
                              "198.51.100.1",
                              "203.0.113.1",
                              "224.0.0.1",
                              "240.0.0.1",
                              "255.255.255.255",
                              "::",
                              "::1",
                              "fe80::1",
                              "fe80::1%eth0",
                              "fc00::1",
                              "fd12:3456::1",
                              "fec0::1",
                              "ff02::1",
                              "2001:db8::1",
                              "2001::1",
                              "2001:1ff::1",
                              "3fff::1",
                              "5f00::1",
                              "100::1",
                              "64:ff9b:1::1",
                              "::7f00:1"}) {
    EXPECT_FALSE(is_public_address(address)) << address;
  }
}

TEST(PublicAddress, an_ipv4_address_inside_an_ipv6_one_is_judged_as_such) {
  for (const char* address : {"::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.1.2.3",
                              "64:ff9b::127.0.0.1", "2002:7f00:1::1", "2002:a9fe:a9fe::1"}) {
    EXPECT_FALSE(is_public_address(address)) << address;
  }
}

TEST(PublicAddress, what_is_no_address_is_not_public) {
  for (const char* address : {"", "localhost", "8.8.8", "8.8.8.8.8", "0x7f.1", "2130706433"}) {
    EXPECT_FALSE(is_public_address(address)) << address;
  }
}

}  // namespace
}  // namespace daybook::core
