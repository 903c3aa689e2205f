//! Block numbers: blocks are made where control flow asks for them, and numbered in source order.

use crate::ir::{BlockId, Exit, Fragment, Node, Seq};

/// Gives every jump in a sequence the new number of its target.
pub(super) fn renumber_seq(seq: &mut Seq, renumber: &impl Fn(&mut BlockId)) {
    let fix = |fragment: &mut Fragment| {
        for jump in &mut fragment.jumps {
            renumber(&mut jump.target);
        }
    };
    for node in seq {
        match node {
            Node::Code(fragment) | Node::Assign { value: fragment, .. } => fix(fragment),
            Node::Let(binding) => {
                fix(&mut binding.init);
                if let Some(otherwise) = &mut binding.otherwise {
                    renumber_seq(otherwise, renumber);
                }
            }
            Node::If { condition, then, otherwise, .. } => {
                fix(condition);
                renumber_seq(then, renumber);
                renumber_seq(otherwise, renumber);
            }
            Node::Match { scrutinee, arms } => {
                fix(scrutinee);
                for arm in arms {
                    if let Some(guard) = &mut arm.guard {
                        fix(guard);
                    }
                    renumber_seq(&mut arm.code, renumber);
                }
            }
            Node::Exit(Exit::Goto(target)) => renumber(target),
            Node::Exit(Exit::Suspend { call: fragment, .. } | Exit::Return(fragment)) => {
                fix(fragment);
            }
            Node::Exit(Exit::Fork { enabled, .. }) => enabled.iter_mut().flatten().for_each(&fix),
            Node::Exit(Exit::EndBranch { decides, .. }) => {
                if let Some(target) = decides {
                    renumber(target);
                }
            }
            Node::Declare { .. } | Node::Begin(_) | Node::End(_) => {}
        }
    }
}
