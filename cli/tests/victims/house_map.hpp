// Containers as header-only libraries have them: a class that others inherit from, whose constructor
// makes the table and whose destructor frees it; and one that keeps its slots in a vector.

#pragma once
#include <cstddef>
#include <utility>
#include <vector>

namespace house {
namespace detail {

template <class K, class V> class Table {
  public:
    explicit Table(size_t capacity) : slots_(make(capacity)), capacity_(capacity) {}
    Table(const Table &) = delete;
    ~Table() { delete[] slots_; }

    size_t grows = 0;
    size_t bytes() const { return capacity_ * sizeof(Slot); }

  protected:
    struct Slot {
        K key;
        V value;
        bool used;
    };

    // A helper that has no other use.
    __attribute__((noinline)) static Slot *make(size_t capacity) { return new Slot[capacity](); }

    __attribute__((noinline)) void rehash() {
        Table larger(capacity_ * 2);
        for (size_t at = 0; at < capacity_; ++at)
            if (slots_[at].used)
                larger.place(slots_[at].key) = slots_[at];
        std::swap(slots_, larger.slots_);
        std::swap(capacity_, larger.capacity_);
        ++grows;
    }

    Slot &place(const K &key) {
        size_t at = static_cast<size_t>(key) * 0x9E3779B97F4A7C15u >> 20 & (capacity_ - 1);
        while (slots_[at].used && slots_[at].key != key)
            at = (at + 1) & (capacity_ - 1);
        return slots_[at];
    }

    Slot *slots_;
    size_t capacity_;
    size_t size_ = 0;
};

} // namespace detail

template <class K, class V> class FlatMap : public detail::Table<K, V> {
  public:
    FlatMap() : detail::Table<K, V>(8) {}

    __attribute__((noinline)) void put(const K &key, const V &value) {
        if ((this->size_ + 1) * 2 > this->capacity_)
            this->rehash();
        auto &slot = this->place(key);
        this->size_ += !slot.used;
        slot = {key, value, true};
    }
};

template <class K, class V> class SlotMap {
  public:
    __attribute__((noinline)) void put(const K &key, const V &value) {
        if ((size_ + 1) * 2 > slots_.size())
            rehash();
        Slot &slot = place(slots_, key);
        size_ += !slot.used;
        slot = {key, value, true};
    }

    size_t grows = 0;
    size_t bytes() const { return slots_.capacity() * sizeof(Slot); }

  private:
    struct Slot {
        K key;
        V value;
        bool used;
    };

    static Slot &place(std::vector<Slot> &slots, const K &key) {
        size_t at = static_cast<size_t>(key) * 0x9E3779B97F4A7C15u >> 20 & (slots.size() - 1);
        while (slots[at].used && slots[at].key != key)
            at = (at + 1) & (slots.size() - 1);
        return slots[at];
    }

    __attribute__((noinline)) void rehash() {
        std::vector<Slot> larger;
        larger.resize(slots_.empty() ? 8 : slots_.size() * 2);
        for (const Slot &slot : slots_)
            if (slot.used)
                place(larger, slot.key) = slot;
        grows += !slots_.empty();
        slots_.swap(larger);
    }

    std::vector<Slot> slots_;
    size_t size_ = 0;
};

} // namespace house
