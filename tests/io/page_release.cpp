// SPDX-License-Identifier: Apache-2.0
#include <graft/io/atomic_file.hpp>
#include <graft/io/page_release.hpp>

#include <tests/support/data.hpp>
#include <tests/support/failing_calls.hpp>
#include <tests/support/resident.hpp>

#include <numeric>

using namespace graft;
using namespace graft_test;

namespace {

std::string numbered(std::size_t bytes) {
    std::string s(bytes, '\0');
    for (std::size_t i = 0; i < bytes; ++i) s[i] = static_cast<char>(i * 2654435761u >> 24);
    return s;
}

}  // namespace

TEST_CASE("page release: whole pages are those that lie inside a run, of every start and length") {
    std::size_t const page = page_bytes();
    auto const at = [](std::size_t address) { return reinterpret_cast<std::byte const*>(address); };
    for (std::size_t start : {page, page + 1, page + page / 2, 2 * page - 1})
        for (std::size_t end = start; end <= 4 * page + 1; end += page / 8 - (end % 3)) {
            std::size_t first = 0, count = 0;  // by trying every page
            for (std::size_t p = 0; p < 6; ++p)
                if (p * page >= start && (p + 1) * page <= end && count++ == 0) first = p * page;
            auto const found = whole_pages({at(start), end - start});
            CHECK(found.size() == count * page);
            if (count > 0) CHECK(found.data() == at(first));
        }
}

TEST_CASE("page release: whole pages leave memory, a neighbour's stay, and the bytes are there again") {
    if (!knows_residency()) return;
    scratch_folder folder;
    std::size_t const page = page_bytes(), size = 64 * page + 100;
    std::string const content = numbered(size);
    auto const path = (folder.path / "f").string();
    REQUIRE(write_file(path, content).ok());
    auto const f = mapped_file::open(path);
    REQUIRE(f.ok());
    auto const all = f->bytes();
    auto const page_count = [&](std::span<std::byte const> s) {
        return resident_bytes(s) / static_cast<std::ptrdiff_t>(page);
    };
    CHECK(as_text(all) == content);
    CHECK(page_count(all) == 65);

    CHECK(release_pages(*f, all.subspan(10 * page + 1, 5 * page)));  // parts of pages 10 and 15
    CHECK(page_count(all.subspan(11 * page, 4 * page)) == 0);
    CHECK(page_count(all.first(11 * page)) == 11);
    CHECK(page_count(all.subspan(15 * page)) == 50);
    CHECK_FALSE(release_pages(*f, all.subspan(3, page)));  // no page is whole
    CHECK(page_count(all) == 61);
    CHECK(as_text(all) == content);
    CHECK(release_pages(*f, all));
    CHECK(page_count(all) == 0);  // the last page is not full, but nobody else has the rest of it
    CHECK(as_text(all) == content);
}

TEST_CASE("page release: memory that is no file is left alone; a refusal of the system is harmless") {
    scratch_folder folder;
    std::size_t const page = page_bytes();
    std::string const content = numbered(8 * page);
    auto const path = (folder.path / "f").string();
    REQUIRE(write_file(path, content).ok());
    auto const read = mapped_file::open(path, file_access::read), mapped = mapped_file::open(path);
    REQUIRE(read.ok());
    REQUIRE(mapped.ok());
    CHECK_FALSE(read->is_mapped());
    CHECK(mapped->is_mapped());
    CHECK_FALSE(release_pages(*read, read->bytes()));
    CHECK(as_text(read->bytes()) == content);
    CHECK_FALSE(release_pages(*mapped, read->bytes()));
    CHECK_FALSE(release_pages(*mapped, {mapped->bytes().data() + page, 8 * page}));  // ends beyond the file
    CHECK_FALSE(release_pages(*mapped, {mapped->bytes().data() - page, 2 * page}));
    CHECK_FALSE(release_pages(mapped_file{}, {}));
    CHECK(as_text(read->bytes()) == content);

    failing_calls fail{1};
    CHECK(release_pages(*mapped, mapped->bytes(), fail.calls()));
    CHECK_FALSE(release_pages(*mapped, mapped->bytes(), fail.calls()));
    CHECK(fail.seen == 2);
    CHECK(as_text(mapped->bytes()) == content);
}
