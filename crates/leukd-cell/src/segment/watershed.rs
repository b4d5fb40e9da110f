//! Flooding of a relief from markers.

use std::collections::VecDeque;

use super::plane::Plane;

/// Label of a pixel that no marker holds.
pub(super) const FREE: u16 = 0;
/// Label of a pixel that takes no part: water neither enters nor leaves it.
pub(super) const WALL: u16 = u16::MAX;

/// Floods `relief` from `labels`: each free pixel gets the label of the marker whose water reaches
/// it first, lowest levels first. Of equal levels the earlier comes first, so a plateau is shared
/// by distance.
///
/// Beucher & Meyer 1993, "The morphological approach to segmentation: the watershed
/// transformation"; Meyer 1994, "Topographic distance and watershed lines". No line of pixels is
/// left between basins.
pub(super) fn flood(relief: &Plane<u8>, labels: &mut Plane<u16>) {
    let mut waiting: Vec<VecDeque<u32>> = vec![VecDeque::new(); 256];
    for at in 0..labels.values.len() {
        if ![FREE, WALL].contains(&labels.values[at])
            && labels.neighbours(at).any(|next| labels.values[next] == FREE)
        {
            waiting[0].push_back(at as u32);
        }
    }
    for level in 0..256 {
        while let Some(at) = waiting[level].pop_front() {
            let own = labels.values[at as usize];
            for next in labels.neighbours(at as usize) {
                if labels.values[next] == FREE {
                    labels.values[next] = own;
                    let height = usize::from(relief.values[next]).max(level);
                    waiting[height].push_back(next as u32);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basins_meet_on_the_ridge_and_a_plateau_is_shared() {
        let mut relief = Plane::filled(21, 9, 10_u8);
        (0..9).for_each(|y| relief.values[y * 21 + 14] = 200);
        let mut labels = Plane::filled(21, 9, FREE);
        labels.values[4 * 21 + 1] = 1;
        labels.values[4 * 21 + 20] = 2;
        flood(&relief, &mut labels);
        assert!((0..9).all(|y| labels.at(13, y) == 1 && labels.at(15, y) == 2));
        let mut labels = Plane::filled(21, 1, FREE);
        (labels.values[0], labels.values[20]) = (1, 2);
        flood(&Plane::filled(21, 1, 0), &mut labels);
        assert!(labels.at(9, 0) == 1 && labels.at(11, 0) == 2);
    }

    #[test]
    fn walls_hold_water_back() {
        let mut labels = Plane::filled(9, 3, FREE);
        (0..3).for_each(|y| labels.values[y * 9 + 4] = WALL);
        labels.values[0] = 1;
        flood(&Plane::filled(9, 3, 0), &mut labels);
        assert_eq!((labels.at(3, 2), labels.at(4, 1), labels.at(5, 1)), (1, WALL, FREE));
    }
}
