// SPDX-License-Identifier: Apache-2.0
#include <graft/io/npy.hpp>

#include <tests/support/data.hpp>
#include <tests/support/malformed.hpp>

#include <doctest/doctest.h>

#include <cmath>

using namespace graft;

namespace {

/// A literal with zeros in it.
template <std::size_t N> std::string bytes(char const (&literal)[N]) { return {literal, N - 1}; }

// Whole files that NumPy 1.24.2 wrote, by np.save or np.lib.format.write_array.
// np.array([[0, 1, -2], [0.1, np.inf, 3e38]], '<f4')
std::string const f4 = bytes("\223NUMPY\001\000v\000"
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }") + std::string(58, ' ') + bytes("\n"
    "\000\000\000\000\000\000\200\077\000\000\000\300\315\314\314=\000\000\200\177\346\261a\177");
// np.array([1.5], '<f4'), version (2, 0)
std::string const f4_version_2 = bytes("\223NUMPY\002\000t\000\000\000"
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }") + std::string(58, ' ') + bytes("\n"
    "\000\000\300\077");
// np.array([1.5], '<f4'), version (3, 0)
std::string const f4_version_3 = bytes("\223NUMPY\003\000t\000\000\000"
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }") + std::string(58, ' ') + bytes("\n"
    "\000\000\300\077");
// np.array(0.1)
std::string const f8_scalar = bytes("\223NUMPY\001\000v\000"
    "{'descr': '<f8', 'fortran_order': False, 'shape': (), }") + std::string(62, ' ') + bytes("\n"
    "\232\231\231\231\231\231\271\077");
// np.asfortranarray([[1, 2, 3], [4, 5, 6.5]])
std::string const f8_fortran = bytes("\223NUMPY\001\000v\000"
    "{'descr': '<f8', 'fortran_order': True, 'shape': (2, 3), }") + std::string(59, ' ') + bytes("\n"
    "\000\000\000\000\000\000\360\077\000\000\000\000\000\000\020@\000\000\000\000\000\000\000@\000"
    "\000\000\000\000\000\024@\000\000\000\000\000\000\010@\000\000\000\000\000\000\032@");
// np.array([1, -0.5, 65504, 6e-8, np.nan], '<f2')
std::string const f2 = bytes("\223NUMPY\001\000v\000"
    "{'descr': '<f2', 'fortran_order': False, 'shape': (5,), }") + std::string(60, ' ') + bytes("\n"
    "\000<\000\270\377{\001\000\000~");
// np.array([[1], [-7], [2**31 - 1]])
std::string const i8 = bytes("\223NUMPY\001\000v\000"
    "{'descr': '<i8', 'fortran_order': False, 'shape': (3, 1), }") + std::string(58, ' ') + bytes("\n"
    "\001\000\000\000\000\000\000\000\371\377\377\377\377\377\377\377\377\377\377\177\000\000\000\000");
// np.array([5, 2**53 + 1])
std::string const i8_large = bytes("\223NUMPY\001\000v\000"
    "{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }") + std::string(60, ' ') + bytes("\n"
    "\005\000\000\000\000\000\000\000\001\000\000\000\000\000 \000");
// np.array([-2**31, 16777217], '<i4')
std::string const i4 = bytes("\223NUMPY\001\000v\000"
    "{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }") + std::string(60, ' ') + bytes("\n"
    "\000\000\000\200\001\000\000\001");
// np.array([0, 255], 'u1')
std::string const u1 = bytes("\223NUMPY\001\000v\000"
    "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }") + std::string(60, ' ') + bytes("\n"
    "\000\377");
// np.array([-128, 127], 'i1')
std::string const i1 = bytes("\223NUMPY\001\000v\000"
    "{'descr': '|i1', 'fortran_order': False, 'shape': (2,), }") + std::string(60, ' ') + bytes("\n"
    "\200\177");
// np.array([True, False])
std::string const b1 = bytes("\223NUMPY\001\000v\000"
    "{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }") + std::string(60, ' ') + bytes("\n"
    "\001\000");
// np.zeros((0, 3), '<i8')
std::string const empty = bytes("\223NUMPY\001\000v\000"
    "{'descr': '<i8', 'fortran_order': False, 'shape': (0, 3), }") + std::string(58, ' ') + bytes("\n"
    "");
// np.zeros(1, [('a', '<f4')])
std::string const record = bytes("\223NUMPY\001\000v\000"
    "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }") + std::string(51, ' ') + bytes("\n"
    "\000\000\000\000");
// np.zeros(1, '>f4')
std::string const big_endian = bytes("\223NUMPY\001\000v\000"
    "{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }") + std::string(60, ' ') + bytes("\n"
    "\000\000\000\000");

template <class T, int Rank>
auto parse(std::string const& file, conversion how = conversion::lossless) {
    std::vector<std::byte> const exact(as_bytes(file).begin(), as_bytes(file).end());  // a sanitizer sees its end
    return parse_npy<T, Rank>(exact, "x.npy", how);
}

/// A file of version 1.0 with any dictionary.
std::string file_of(std::string dictionary, std::string const& data = "") {
    dictionary += "\n";
    std::string text = bytes("\x93NUMPY\1\0");
    text += static_cast<char>(dictionary.size() & 255), text += static_cast<char>(dictionary.size() >> 8);
    return text + dictionary + data;
}
template <int Rank = 1>
std::string refusal(std::string const& file) {
    auto const r = parse<float, Rank>(file);
    REQUIRE(!r.ok());
    return describe(r.error());
}

}  // namespace

TEST_CASE("npy: files that NumPy wrote are read") {
    auto const x = parse<float, 2>(f4);
    REQUIRE(x.ok());
    CHECK(x->size(0) == 2);
    CHECK(x->size(1) == 3);
    CHECK((*x)(0, 2) == -2);
    CHECK((*x)(1, 0) == 0.1f);
    CHECK((*x)(1, 1) == INFINITY);
    CHECK((*x)(1, 2) == 3e38f);
    CHECK((*parse<float, 1>(f4_version_2))(0) == 1.5f);
    CHECK((*parse<float, 1>(f4_version_3))(0) == 1.5f);
    CHECK((*parse<double, 0>(f8_scalar))() == 0.1);
    auto const none = parse<double, 2>(empty);
    REQUIRE(none.ok());
    CHECK(none->count() == 0);
    CHECK(none->size(1) == 3);
}

TEST_CASE("npy: column-major files become row-major tensors") {
    auto const x = parse<double, 2>(f8_fortran);
    REQUIRE(x.ok());
    CHECK(std::equal(x->begin(), x->end(), std::array{1.0, 2.0, 3.0, 4.0, 5.0, 6.5}.begin()));
}

TEST_CASE("npy: numbers of another type are converted where none changes") {
    auto const halves = parse<float, 1>(f2);
    REQUIRE(halves.ok());
    CHECK((*halves)(1) == -0.5f);
    CHECK((*halves)(2) == 65504);
    CHECK((*halves)(3) == 0x1p-24f);
    CHECK(std::isnan((*halves)(4)));
    CHECK((*parse<double, 2>(f4))(1, 0) == static_cast<double>(0.1f));
    CHECK((*parse<float, 2>(f8_fortran))(1, 2) == 6.5f);
    CHECK((*parse<std::int32_t, 2>(i8))(2, 0) == 2147483647);
    CHECK((*parse<double, 1>(i4))(0) == -0x1p31);
    CHECK((*parse<float, 1>(u1))(1) == 255);
    CHECK((*parse<std::int32_t, 1>(i1))(0) == -128);
    CHECK((*parse<std::int32_t, 1>(b1))(0) == 1);

    // A float has no 0.1 of a double, no 16777217, no 2^53 + 1; an int32 no 2^53, no 0.5, no infinity, no NaN.
    CHECK(!parse<float, 0>(f8_scalar).ok());
    CHECK(!parse<float, 1>(i4).ok());
    CHECK(!parse<double, 1>(i8_large).ok());
    CHECK(!parse<std::int32_t, 1>(i8_large).ok());
    CHECK(!parse<std::int32_t, 2>(f4).ok());
    CHECK(!parse<std::int32_t, 1>(f2, conversion::rounding).ok());
    CHECK(!parse<std::int32_t, 1>(i8_large, conversion::rounding).ok());
    CHECK((*parse<float, 0>(f8_scalar, conversion::rounding))() == 0.1f);
    CHECK((*parse<float, 1>(i4, conversion::rounding))(1) == 16777216);
    CHECK(describe(parse<double, 1>(i8_large).error()) ==
          "x.npy: holds a number that the wanted type does not have (number 1 in row-major order): expected <f8, got "
          "<i8. Try: conversion::rounding");
}

TEST_CASE("npy: whole numbers at the limits of their type") {
    auto const file = [](double x) {
        return file_of("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }",
                       std::string(as_text(std::as_bytes(std::span(&x, 1)))));
    };
    CHECK((*parse<std::int32_t, 1>(file(-0x1p31)))(0) == std::numeric_limits<std::int32_t>::min());
    CHECK((*parse<std::int32_t, 1>(file(0x1p31 - 1)))(0) == std::numeric_limits<std::int32_t>::max());
    CHECK(!parse<std::int32_t, 1>(file(0x1p31)).ok());
    CHECK(!parse<std::int32_t, 1>(file(-0x1p31 - 1)).ok());
    CHECK(!parse<std::int32_t, 1>(file(0.5)).ok());
    CHECK(!parse<std::int32_t, 1>(file(NAN)).ok());
    std::int64_t const most = std::numeric_limits<std::int64_t>::max();  // rounds to 2^63, which is no int64
    CHECK(!parse<double, 1>(file_of("{'descr': '<i8', 'fortran_order': False, 'shape': (1,), }",
                                    std::string(as_text(std::as_bytes(std::span(&most, 1))))))
               .ok());
}

TEST_CASE("npy: what is wrong with a file is said") {
    std::string const rest = "'fortran_order': False, 'shape': (1,), }", one(4, '\0');
    CHECK(parse<float, 1>(file_of("{'descr': '<f4', " + rest, one)).ok());
    CHECK(parse<float, 1>(file_of("{\"shape\":(1 ,),'fortran_order':False  , 'descr' : '<f4'}  ", one)).ok());
    CHECK(refusal("PK") == "x.npy: is not a .npy file (at byte 0): expected \\x93NUMPY, got other bytes. Try: "
                           "np.save(path, x); an .npz is a zip archive of .npy files");
    CHECK(refusal(bytes("\x93NUMPY\4\0")) == "x.npy: is of a version that is not read (at byte 6): expected 1.0, 2.0 "
                                             "or 3.0, got 4.0. Try: np.save(path, x)");
    CHECK(refusal(bytes("\x93NUMPY\1\1")).find("got 1.1") != std::string::npos);
    CHECK(refusal(f4.substr(0, 40)) == "x.npy: ends inside its header (at byte 10): expected 118 bytes, got 30. Try: "
                                       "copying the file again");
    CHECK(refusal<2>(f4 + "x") == "x.npy: has another number of bytes than its shape (2, 3) needs (at byte 128): "
                                  "expected 24 bytes, got 25. Try: copying the file again");
    CHECK(refusal(f4) == "x.npy: has another rank than asked for (shape): expected 1 axes, got (2, 3). Try: reading it "
                         "with that rank, or reshaping it before np.save");
    CHECK(refusal(record) == "x.npy: the numbers are records (at byte 20): expected one number at each position, got "
                             "'[('a', ''. Try: np.save(path, x.astype(np.float32))");
    CHECK(refusal(big_endian).find("'>f4'. Try: np.save(path, x.astype(np.float32))") != std::string::npos);
    auto const says = [&](std::string const& dictionary, char const* what) {
        auto const text = refusal(file_of(dictionary, one));
        INFO(text);
        CHECK(text.find(what) != std::string::npos);
    };
    says("{'descr': '<f4', 'extra': 1, " + rest, "key that is not known");
    says("{'descr': '<f4', 'descr': '<f4', " + rest, "a key twice");
    says("{'descr': '<f4', 'shape': (1,)}", "no fortran_order");
    says("{'descr': '<f4' " + rest, "',' or '}'");
    says("{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}", "True or False");
    says("{'descr': '<f4', 'fortran_order': False, 'shape': (1)}", "(n,)");
    says("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", "not a whole number");
    says("{'descr': '<f4', 'fortran_order': False, 'shape': (1 1)}", "',' or ')'");
    says("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,)}", "too large");
    says("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999,)}", "too large");
    says("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", "fewer than 2^64 bytes");
    says("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", "too many axes");
    says("{'descr': '<f4', " + rest + "x", "blanks and a newline");
    says("{'descr': '<f4', " + rest + "\n", "blanks and a newline");
    says("{'descr': '<f4", "does not end");
    says("", "a dictionary");
    CHECK(refusal<3>(file_of("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4611686018427387904, 8)}"))
              .find("more positions than can be counted") != std::string::npos);
}

TEST_CASE("npy: no damage of a small file does harm") {
    graft_test::every_damage({as_bytes(f8_fortran).begin(), as_bytes(f8_fortran).end()}, [](auto damaged) {
        auto const r = parse_npy<double, 2>(damaged, "x.npy");
        if (!r.ok()) CHECK(describe(r.error()).find('\n') == std::string::npos);
    });
}

TEST_CASE("npy: what is written is what NumPy writes, and is read again") {
    graft_test::scratch_folder folder;
    auto const path = (folder.path / "x.npy").string();
    tensor<float, 2, 3> const x{{0, 1, -2}, {0.1f, INFINITY, 3e38f}};
    REQUIRE(write_npy(path, x).ok());
    // NumPy leaves more blanks, for the first axis to grow; the rest is the same.
    std::string const written = graft_test::read_file(path), wanted = f4;
    CHECK(written.size() % 64 == 24);
    CHECK(written.substr(0, 8) == wanted.substr(0, 8));
    CHECK(written.substr(10, wanted.find('}') - 9) == wanted.substr(10, wanted.find('}') - 9));
    CHECK(written.substr(written.size() - 25) == wanted.substr(wanted.size() - 25));
    auto const again = read_npy<float, 2>(path);
    REQUIRE(again.ok());
    CHECK(std::equal(x.begin(), x.end(), again->begin(), again->end()));

    CHECK(!write_npy(path, x).ok());  // it is there
    save_options replace;
    replace.overwrite = true;
    REQUIRE(write_npy(path, x.all().transposed().slice<1>(1, 1), replace).ok());
    auto const column = read_npy<float, 2>(path);
    REQUIRE(column.ok());
    CHECK(column->size(0) == 3);
    CHECK((*column)(0, 0) == 0.1f);
    CHECK((*column)(2, 0) == 3e38f);

    tensor<std::int32_t, 1> const one{7};
    REQUIRE(write_npy(path, one, replace).ok());
    CHECK(graft_test::read_file(path).find("{'descr': '<i4', 'fortran_order': False, 'shape': (1,), }") == 10);
    tensor<double> const number(fill{0.1});
    REQUIRE(write_npy(path, number, replace).ok());
    CHECK((*read_npy<double, 0>(path))() == 0.1);
    CHECK(describe(read_npy<double, 0>((folder.path / "absent").string()).error()).find("cannot be opened") !=
          std::string::npos);
}
