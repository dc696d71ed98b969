"""The letters that Parley writes: short, in plain text, each with the one thing that its reader needs."""

from parley.domain.accounts.people import Invite
from parley.infra.mail import Letter


def code_letter(email: str, code: str) -> Letter:
    """The code that completes a sign-up."""
    return Letter(
        to=email,
        subject="Your code for Parley",
        text=f"Your code is {code}. It counts for 15 minutes.\n\nIf you did not sign up, you need do nothing.\n",
    )


def known_letter(email: str, *, public_url: str) -> Letter:
    """For who signs up with an address that has an account: the web page says the same as to everybody else."""
    return Letter(
        to=email,
        subject="You have an account at Parley",
        text=f"Somebody, perhaps you, signed up with this address, which has an account already.\n\n"
        f"Log in with it, or set a new password:\n\n{public_url}/reset\n",
    )


def reset_letter(email: str, token: str, *, public_url: str) -> Letter:
    """The link that sets a new password."""
    return Letter(
        to=email,
        subject="Set a new password for Parley",
        text=f"With this link you set a new password, once, within an hour:\n\n{public_url}/reset#{token}\n\n"
        "If you did not ask for it, you need do nothing.\n",
    )


def invite_letter(invite: Invite, token: str, *, organization_name: str, public_url: str) -> Letter:
    """The link that makes its reader a member."""
    # The name was chosen by somebody else: on one line, so that it cannot pose as the rest of the letter.
    name = " ".join(organization_name.split())[:80]
    return Letter(
        to=invite.email,
        subject="You are invited to Parley",
        text=f'You are invited to the organization "{name}" as {invite.role.value}. The link counts for 7 days:\n\n'
        f"{public_url}/invite#{token}\n",
    )
