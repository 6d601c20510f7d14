//! Counts the memory that a thread holds, to assert bounds on a function that works in one thread.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

thread_local! {
    /// The bytes that this thread has allocated, less those that it has freed. The numbers need no destructor, so that
    /// the allocator may use them at any time.
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// The allocator of the system, with counts for each thread.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(bytes: isize) {
    let held = HELD.get().wrapping_add(bytes);
    HELD.set(held);
    PEAK.set(PEAK.get().max(held));
}

// SAFETY: every call is passed on to the allocator of the system with the same arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        unsafe { System.realloc(memory, layout, size) }
    }
}

/// The most bytes that a function holds at a time, beyond those that were held before. Memory of other threads does not
/// count.
pub fn peak(function: impl FnOnce()) -> usize {
    let before = HELD.get();
    PEAK.set(before);
    function();
    usize::try_from(PEAK.get() - before).unwrap_or_default()
}

#[test]
fn peak_is_the_most_that_a_function_holds() {
    let kept = peak(|| drop((vec![0u8; 1 << 20], vec![0u8; 2 << 20])));
    assert!((3 << 20..(3 << 20) + 1024).contains(&kept), "{kept}");
    let freed = peak(|| (0..8).for_each(|_| drop(vec![0u8; 1 << 20])));
    assert!((1 << 20..(1 << 20) + 1024).contains(&freed), "{freed}");
}
