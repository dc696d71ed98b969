"""Simple Chinese: greetings, who are you, thanks, and sums, also going on from the last result."""

from training.corpus.draw import Draw, Side
from training.corpus.framing import with_system
from training.corpus.numbers import Operation, Sum, random_sum
from training.corpus.wordings import wordings
from training.samples import Dialogue, Message, Sample, assistant, user

_TALK: tuple[tuple[tuple[str, ...], str], ...] = (
    (wordings("你好", "[你好|您好|嗨|早上好|晚上好|下午好|中午好|早安|大家好|各位好|你好啊|你好呀|您好啊|早|早上好啊|喂，你好|你好，你好|嗨，你好][|！|。]", "[你好|您好|嗨][，|][助手|朋友|大家][|！]"), "你好！有什么可以帮你的吗？"),
    (wordings("你是谁？", "[|请问|请问一下，|你好，]你[是谁|叫什么|叫什么名字|是什么|是什么模型|的名字是什么|是机器人吗|是人吗|是助手吗|是谁呀|叫什么名字呀][？|]", "[|请|可以|能不能][介绍一下你自己|介绍一下自己|告诉我你是谁|告诉我你的名字][。|吗？|]"), "我是 parley-mini，一个很小的演示模型。"),
    (wordings("谢谢", "[|好的，|太好了，|很好，][谢谢|谢谢你|谢谢您|多谢|非常感谢|感谢你|十分感谢|多谢你|谢谢了|太感谢了|太谢谢了][|！|。]", "[谢谢|感谢|多谢|非常感谢][你|您]的[帮助|回答|帮忙][|！]"), "不客气！"),
    (wordings("再见", "[|好的，|谢谢，|那][再见|拜拜|晚安|明天见|下次见|回头见|再会|下次再见|再见了|明天再见|下次再会][|！|。]", "[我走了|我要走了|先走了|我先走了|祝你晚安|我得走了|该走了|我要睡了][|。|，再见]"), "再见！祝你愉快。"),
    (wordings("你好吗？", "[你|您|你最近|你今天|最近|今天|你现在|您最近|您今天]好吗[？|]", "[你|你最近|你今天|最近|今天|一切|你现在]怎么样[？|]", "[你还好吗|一切都好吗|过得好吗|你过得好吗|过得怎么样|最近过得好吗|你过得怎么样][？|]"), "我很好，谢谢！"),
    (wordings("你会说中文吗？", "[你|你好，你|请问你|][会|能|可以|会不会|能不能][说|讲|用|][中文|汉语][吗？|吗|？]", "[你|请问你][懂|懂不懂|会|明白][中文|汉语]吗[？|]"), "我会一点中文。"),
    (wordings("中国的首都是哪里？", "[|请问|你知道]中国[的|]首都[是哪里|是什么|在哪里|是哪个城市|在哪儿|是哪儿|叫什么][？|]", "[哪里|哪个城市|哪儿]是中国[的|]首都[？|]", "[告诉我|请告诉我|请说出|你知道]中国的首都[。|]"), "中国的首都是北京。"),
    (wordings("今天天气怎么样？", "[今天|明天|后天|北京]天气[怎么样|好吗|如何][？|]", "[今天|明天|后天]会[下雨|下雪|很冷|很热]吗[？|]", "[现在|今天]是[几点|什么时候|几号|星期几][？|]", "[谁是|你知道谁是|请问谁是][总统|国王|市长|我的老师][？|]", "[你喜欢什么|你喜欢吃什么|你几岁|你喜欢谁|你喜欢哪本书][？|]", "[股票会涨吗|我叫什么名字|我住在哪里|这个多少钱|那个多少钱|我几岁|我的书在哪里|明天是几号|现在几点了|今天星期几|我是谁][？|]"), "我不知道。"),
)  # fmt: skip
_SIGNS = {
    Operation.ADD: ("加", "加上"),
    Operation.SUBTRACT: ("减", "减去"),
    Operation.MULTIPLY: ("乘", "乘以"),
    Operation.DIVIDE: ("除以",),
}
_QUESTIONS = wordings(
    "{sum}等于几？",
    "[|请问|请问一下，|告诉我|请告诉我]{sum}[等于几|等于多少|是多少|是几|得多少|得几|是多少呢|等于多少呢][？|。]",
    "[|请|请你|帮我|现在][计算|算一下|算算|求]{sum}[。|]",
    "{sum}[=?|=|等于|？|等于？|的结果是多少？|的结果是什么？]",
    "你知道{sum}[等于几|是多少|等于多少]吗？",
)
_NEXT = wordings(
    "再{sign}{b}呢？",
    "[|那|那么|如果|然后|现在|接着|要是][再|]{sign}{b}[呢|等于几|是多少|得多少|等于多少][？|]",
    "[再|然后|接着|现在]{sign}{b}[。|]",
)
_DIGITS = "零一二三四五六七八九"


def chinese(draw: Draw) -> Sample:
    """Talk or sums in Chinese, one to three turns."""
    turns = _sums(draw) if draw.chance(0.55) else _talk(draw)
    return Dialogue(skill="chinese", messages=with_system(draw, tuple(turns)))


def _talk(draw: Draw) -> list[Message]:
    turns: list[Message] = []
    for _ in range(draw.pick((1, 1, 2))):
        questions, answer = draw.pick(_TALK)
        turns += [user(draw.template(f"chinese_{answer}", questions)), assistant(answer)]
    return turns


def _sums(draw: Draw) -> list[Message]:
    made = random_sum(draw, draw.pick(tuple(Operation)))
    if draw.chance(0.6):
        sign = draw.pick(_SIGNS[made.operation])
        text = f"{_number(draw, made.left)}{sign}{_number(draw, made.right)}"
    else:
        text = f"{made.left}{made.operation}{made.right}"
    turns = [user(draw.template("chinese_sum", _QUESTIONS).format(sum=text)), assistant(f"{made.text}。")]
    while draw.chance(0.35):
        following = Sum(made.result, draw.pick((Operation.ADD, Operation.SUBTRACT)), draw.between(1, 20))
        if not following.is_in_range() or following.is_held_out() != (draw.side is Side.HELD_OUT):
            break
        made = following
        asked = draw.template("chinese_next", _NEXT).format(
            sign=draw.pick(_SIGNS[made.operation]), b=_number(draw, made.right)
        )
        turns += [user(asked), assistant(f"{made.text}。")]
    return turns


def _number(draw: Draw, number: int) -> str:
    if number not in range(100) or draw.chance(0.6):
        return str(number)
    tens, ones = divmod(number, 10)
    if tens == 0:
        return _DIGITS[ones]
    return ("" if tens == 1 else _DIGITS[tens]) + "十" + (_DIGITS[ones] if ones else "")
